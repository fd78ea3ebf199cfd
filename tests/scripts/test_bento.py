"""What a Bento for CPUs holds of a model that needs no conversion."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.local_service import ROOT
from tests.models.onnx_files import ensemble_manifest, face_manifest, face_onnx, save, save_ensemble

_PROGRAM = """
import sys
from pathlib import Path
from models.catalog import find_model
from models.errors import UnsupportedModel
from scripts.bento import _stored_converted, _stored_whole

for reference in sys.argv[1:]:
    found = find_model(_stored_converted("face", reference), "face", Path(reference))
    names = sorted(str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file())
    print(found.is_onnx, found.is_ensemble, [name for name in names if name != "model.yaml" and name[0] != "."])
try:
    _stored_whole("face", sys.argv[-1])
except UnsupportedModel as error:
    print(error)
"""


def test_an_onnx_model_and_an_ensemble_with_its_members_travel_as_they_are(tmp_path: Path) -> None:
    """In a process of its own: BentoML's store is where its environment said when it was imported."""
    alone = save(tmp_path / "onnx", face_onnx(), face_manifest())
    for name in "ab":
        save(tmp_path / name, face_onnx(), face_manifest(name=name))
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["../a", "../b"]))
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(alone), str(pair)]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    of_alone, of_pair, refused = found.stdout.splitlines()
    assert of_alone == "True False ['bonafide.json', 'model.onnx']"
    members = [f"member-{place}/{name}" for place in (1, 2) for name in ("bonafide.json", "model.onnx")]
    assert of_pair == f"False True {['bonafide.json', *members]}"
    assert "member '../a' would not travel with a cuda Bento" in refused
