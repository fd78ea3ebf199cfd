"""Generates the Go stubs of every .proto file here, for the Go client.

Usage: python proto/generate_go.py [--out FOLDER]. Needs Go; clients/go/tools/go.mod pins the plugins' versions.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO_DIR = Path(__file__).parent
CLIENT_DIR = PROTO_DIR.parent / "clients/go"
MODULE = "bonafide/clients/go"
PACKAGES = {"audio_analyzer.proto": "audioanalyzer", "liveness_api.proto": "liveness", "jobs.proto": "jobs"}
PLUGINS = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")


def generate(out: Path) -> None:
    """Writes a folder for each package to `out`."""
    with tempfile.TemporaryDirectory() as bin_dir:
        subprocess.run(["go", "build", "-o", f"{bin_dir}/", *PLUGINS], cwd=CLIENT_DIR / "tools", check=True)  # noqa: S607
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO_DIR}"]
        for plugin in ("go", "go-grpc"):
            command += [f"--plugin=protoc-gen-{plugin}={bin_dir}/protoc-gen-{plugin}", f"--{plugin}_out={out}"]
            command += [f"--{plugin}_opt=module={MODULE}"]
            command += [f"--{plugin}_opt=M{name}={MODULE}/{package}" for name, package in PACKAGES.items()]
        subprocess.run([*command, *PACKAGES], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=CLIENT_DIR)
    generate(parser.parse_args().out)
