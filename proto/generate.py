"""Generates the Python stubs of every .proto file here, for the service and for the Python client.

Usage: python proto/generate.py [--out FOLDER ...]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

PROTO_DIR = Path(__file__).parent
CLIENT_DIR = PROTO_DIR.parent / "clients/python/src/bonafide_client/proto"


def generate(out: Path) -> None:
    """Writes `*_pb2.py`, `*_pb2.pyi`, `*_pb2_grpc.py` and `*_pb2_grpc.pyi` to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in PROTO_DIR.glob("*.proto"))
    bin_dir = Path(sys.executable).parent
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO_DIR}",
            f"--plugin=protoc-gen-mypy={bin_dir / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={bin_dir / 'protoc-gen-mypy_grpc'}",
            f"--python_out={out}", f"--grpc_python_out={out}", f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}", *names,
        ],
        check=True,
    )  # fmt: skip
    # protoc writes absolute imports of its sibling modules; inside a package they must be relative.
    for stub in out.glob("*_pb2*.py*"):
        text = stub.read_text()
        stub.write_text(re.sub(r"^import (\w+_pb2)( as \w+)?$", r"from . import \1\2", text, flags=re.MULTILINE))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, nargs="+", default=[PROTO_DIR, CLIENT_DIR])
    for folder in parser.parse_args().out:
        generate(folder)
