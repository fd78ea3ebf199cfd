"""What a Bento for CPUs holds of a model that needs no conversion."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.local_service import ROOT
from tests.models.onnx_files import face_manifest, face_onnx, save

_PROGRAM = """
import sys
from pathlib import Path
from models.catalog import find_model
from scripts.bento import _stored_converted
found = find_model(_stored_converted("face", sys.argv[1]), "face", Path(sys.argv[1]))
print(found.is_onnx, sorted(path.name for path in found.path.iterdir() if path.name != "model.yaml"))
"""


def test_an_onnx_model_travels_as_it_is(tmp_path: Path) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(folder)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == "True ['bonafide.json', 'model.onnx']\n", ran.stderr
