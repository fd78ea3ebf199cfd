"""Serves the bundled models, judges the samples over gRPC and HTTP, prints the results, and stops.

Usage: make demo
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from scripts.local_service import ROOT, LocalService, running
from scripts.serve import bentoml_home

SAMPLES = ROOT / "samples"


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def over_grpc(service: LocalService) -> None:
    """The client's command, as a user would call it."""
    command = Path(sys.executable).parent / "bonafide"
    for arguments in (
        ["status"],
        ["audio", *(str(path.relative_to(ROOT)) for path in sorted(SAMPLES.glob("*.mp3")))],
        ["face", *(str(path.relative_to(ROOT)) for path in sorted(SAMPLES.glob("*.jpg")))],
    ):
        say(f"\n$ bonafide {' '.join(arguments)}")
        # 1 means that an item was judged fake, which is correct for half of the samples.
        status = subprocess.run(
            [command, *arguments], cwd=ROOT, env={**os.environ, "BONAFIDE_ADDRESS": service.address}
        ).returncode
        if status not in (0, 1):
            raise SystemExit(status)


def over_http(service: LocalService) -> None:
    """The same bytes with plain HTTP."""
    for route, name in (("detect_audio", "call.mp3"), ("predict_liveness", "face.jpg")):
        say(f"\n$ curl --data-binary @samples/{name} {service.url}/{route}")
        request = urllib.request.Request(f"{service.url}/{route}", data=(SAMPLES / name).read_bytes())  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            say(json.dumps(json.load(answer), indent=2))


def main() -> None:
    """Runs the demonstration."""
    bentoml_home()
    with tempfile.TemporaryDirectory() as folder:
        say("starting the service ...")
        with running(Path(folder) / "service.log") as service:
            over_grpc(service)
            over_http(service)
            say("\nstopping the service ...")
    say("done")


if __name__ == "__main__":
    main()
