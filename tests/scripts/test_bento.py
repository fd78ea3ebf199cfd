"""What a Bento holds of a model that needs no conversion for it."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.local_service import ROOT
from tests.models.onnx_files import ensemble_manifest, face_manifest, face_onnx, save, save_ensemble

_PROGRAM = """
import sys
from pathlib import Path
from models.calibration import calibration_path
from models.catalog import find_model
from models.errors import UnsupportedModel
from scripts.bento import _stored_converted, _stored_whole, stored

print(len({stored("face", f"{sys.argv[1]}/{name}") for name in ("member", "whole")}))
for reference in sys.argv[2:]:
    found = find_model(_stored_converted("face", reference), "face", Path(reference))
    names = sorted(str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file())
    print(found.is_onnx, found.is_ensemble, [name for name in names if name != "model.yaml" and name[0] != "."])
pth = find_model(_stored_whole("voice", sys.argv[1] + "/weights.pth"), "voice", Path())
print(pth.is_pth, calibration_path(pth.path).read_text())
try:
    _stored_whole("face", sys.argv[-1])
except UnsupportedModel as error:
    print(error)
"""


def test_onnx_models_ensembles_and_pth_files_travel_with_what_belongs_to_them(tmp_path: Path) -> None:
    """In a process of its own: BentoML's store is where its environment said when it was imported."""
    alone = save(tmp_path / "onnx", face_onnx(), face_manifest())
    for name in "ab":
        save(tmp_path / name, face_onnx(), face_manifest(name=name))
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["../a", "../b"]))
    (tmp_path / "weights.pth").write_bytes(b"tensors")
    (tmp_path / "weights.calibration.json").write_text("its threshold")
    for calibrated in ("member/z", "whole"):  # the same files in the same order, of another meaning
        folder = tmp_path / calibrated
        folder.mkdir(parents=True)
        (folder / "calibration.json").write_text("its threshold")
        (weights := tmp_path / calibrated.partition("/")[0] / "z" / "weights").parent.mkdir(exist_ok=True)
        weights.write_bytes(b"tensors")
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(tmp_path), str(alone), str(pair)]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    different, of_alone, of_pair, of_pth, refused = found.stdout.splitlines()
    assert different == "2"
    assert of_alone == "True False ['bonafide.json', 'model.onnx']"
    members = [f"member-{place}/{name}" for place in (1, 2) for name in ("bonafide.json", "model.onnx")]
    assert of_pair == f"False True {['bonafide.json', *members]}"
    assert of_pth == "True its threshold"
    assert "member '../a' would not travel with a cuda Bento" in refused
