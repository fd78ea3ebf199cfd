"""What the serving processes load: each module costs every start time, and torch costs seconds and memory."""

import subprocess
import sys

import pytest

from scripts.local_service import ROOT

TRAINING = {"torch", "torchaudio", "transformers", "scipy"}
"""For training, conversion and CUDA only."""
CLIENTS = {"redis", "minio", "cryptography", "psycopg"}
"""For those whose settings name such a server, or a key that signs."""
ONE_KIND = {"openvino", "av", "PIL", "grpc"}
"""For runners, or for the service and its decoding processes."""


@pytest.mark.parametrize(
    ("process", "modules", "absent"),
    [
        ("supervisor", "service", TRAINING | CLIENTS | ONE_KIND),
        ("service", "service, bonafide.serving", TRAINING | CLIENTS | {"openvino", "ai_edge_litert"}),
        ("runner", "service, models.configured, models.face_model", TRAINING | CLIENTS | {"av", "grpc"}),
        ("decoder", "bonafide.decoders.template", TRAINING | CLIENTS | {"openvino", "grpc", "pydantic"}),
    ],
)
def test_a_process_imports_what_it_uses(process: str, modules: str, absent: set[str]) -> None:
    look = f"import sys, {modules}; print(*sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert absent & set(ran.stdout.split()) == set(), process
