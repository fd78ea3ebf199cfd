"""Names of the files of an ONNX model, and the way to a manifest. Imports nothing of ours."""

MANIFEST = "bonafide.json"
ONNX = "model.onnx"
IR = "model.xml"
"""Instead of it, OpenVINO's graph of a research checkpoint, as `models.convert` writes it."""
UNKNOWN = "?"
"""In a draft: nobody can read this from a graph."""
WRITE_MANIFEST = f"`python -m models.manifest --init {ONNX}` writes a first {MANIFEST} beside it"
