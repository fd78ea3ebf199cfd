"""Names of the files of an ONNX model, and the way to a manifest. Imports nothing of ours."""

MANIFEST = "bonafide.json"
ONNX = "model.onnx"
UNKNOWN = "?"
"""In a draft: nobody can read this from a graph."""
WRITE_MANIFEST = f"`python -m models.manifest --init {ONNX}` writes a first {MANIFEST} beside it"
