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
from scripts.bento import _stored_converted
found = find_model(_stored_converted("face", sys.argv[1]), "face", Path(sys.argv[1]))
names = sorted(str(path.relative_to(found.path)) for path in found.path.rglob("*") if path.is_file())
print(found.is_onnx, found.is_ensemble, [name for name in names if name != "model.yaml" and name[0] != "."])
"""
_WHOLE = """
import sys
from scripts.bento import _stored_whole
_stored_whole("face", sys.argv[1])
"""


def ran(program: str, reference: Path, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "bentoml")}
    command = [sys.executable, "-W", "ignore", "-c", program, str(reference)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_an_onnx_model_travels_as_it_is(tmp_path: Path) -> None:
    folder = save(tmp_path / "onnx", face_onnx(), face_manifest())
    found = ran(_PROGRAM, folder, tmp_path)
    assert found.stdout == "True False ['bonafide.json', 'model.onnx']\n", found.stderr


def test_the_members_of_an_ensemble_travel_with_it(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / name, face_onnx(), face_manifest(name=name))
    pair = save_ensemble(tmp_path / "pair", ensemble_manifest("face", ["../a", "../b"]))
    found = ran(_PROGRAM, pair, tmp_path)
    members = [f"member-{place}/{name}" for place in (1, 2) for name in ("bonafide.json", "model.onnx")]
    assert found.stdout == f"False True {['bonafide.json', *members]}\n", found.stderr
    refused = ran(_WHOLE, pair, tmp_path)
    assert "member '../a' would not travel with a cuda Bento" in refused.stderr
