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
KINDS = {
    "supervisor": (),
    "service": ("bonafide.serving",),
    "runner": ("models.configured", "models.face_model"),
}
"""What each imports beside `service`; the last two are forked from the first, here as there."""
_LOOK = f"""
import importlib, os, sys
import service

for kind, modules in {KINDS}.items():
    if (child := os.fork()) == 0:
        for each in modules:
            importlib.import_module(each)
        print(kind, *sorted(sys.modules), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def loaded(program: str) -> list[list[str]]:
    """The words of each line that it prints."""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line.split() for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def modules() -> dict[str, set[str]]:
    """Those of the processes of each of `KINDS`."""
    return {kind: set(found) for kind, *found in loaded(_LOOK)}


@pytest.mark.parametrize(
    ("kind", "absent"),
    [
        ("supervisor", TRAINING | CLIENTS | ONE_KIND),
        ("service", TRAINING | CLIENTS | {"openvino", "ai_edge_litert"}),
        ("runner", TRAINING | CLIENTS | {"av", "grpc"}),
    ],
)
def test_a_process_imports_what_it_uses(modules: dict[str, set[str]], kind: str, absent: set[str]) -> None:
    assert {"service", *KINDS[kind]} <= modules[kind]
    assert absent & modules[kind] == set()


def test_a_decoding_process_imports_what_it_uses() -> None:
    (found,) = loaded("import sys, bonafide.decoders.template; print(*sys.modules)")
    assert (TRAINING | CLIENTS | {"openvino", "grpc", "pydantic"}) & set(found) == set()
