"""Runs Ray in an image as KubeRay does, unprivileged and with a read-only root, and has it run a job.

Usage: python -m tests.deploy.ray_container IMAGE   (deploy/test-image.sh calls it)
"""

import json
import subprocess
import sys
import time
from typing import Any

from tests.deploy.container import podman

NAME = "bonafide-ray-test"
START_S = 180
SOURCE = "/home/bentoml/bento/src"
# As a pod of deploy/ray has it; without a network, so that nothing listens outside of the container.
OPTIONS = (
    *("--network=none", "--no-healthcheck", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,mode=1777"),
    *("--shm-size=1g", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--workdir={SOURCE}", "--env=HOME=/tmp"),
    *(f"--env=PYTHONPATH={SOURCE}", "--env=RAY_USAGE_STATS_ENABLED=0"),
)
# As KubeRay makes it of the RayJob.
START = (
    "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; ray start --head --block --dashboard-agent-listen-port=52365 "
    "--dashboard-host=0.0.0.0 --memory=4294967296 --metrics-export-port=8080 --num-cpus=2"
)
JOB = """
import os, ray, scan, scan.schema
from models.configured import settings_for
ray.init("auto")
rows = ray.data.range(1000).map_batches(lambda rows: {"uid": [os.getuid() for _ in rows["id"]]})
print("users", rows.unique("uid"), "rows", rows.count(), "scans", scan.schema.MANIFEST)
"""


def asked(path: str, body: dict[str, Any] | None = None) -> str:
    """What Ray answers inside the container, by its dashboard (8265) or agent (52365): `PORT/PATH`."""
    data = None if body is None else json.dumps(body)
    code = (
        "import urllib.request, sys\n"
        f"request = urllib.request.Request('http://127.0.0.1:{path}', {data!r} and {data!r}.encode(), "
        "{'Content-Type': 'application/json'})\n"
        "print(urllib.request.urlopen(request, timeout=10).read().decode())"
    )
    return podman("exec", NAME, "python", "-c", code)


def healthy() -> bool:
    """Whether the probes of deploy/ray pass."""
    try:
        return "success" in asked("52365/api/healthz")
    except RuntimeError:
        return False


def wait_healthy() -> float:
    """Seconds until the probes pass."""
    began = time.monotonic()
    while not healthy():
        if time.monotonic() - began > START_S:
            raise RuntimeError(f"Ray did not start:\n{podman('logs', NAME)[-4000:]}")
        time.sleep(1)
    return time.monotonic() - began


def finished(job: str) -> str:
    """What a job printed.

    Raises:
        RuntimeError: it failed, or takes too long.
    """
    end = time.monotonic() + START_S
    while (status := json.loads(asked(f"8265/api/jobs/{job}"))["status"]) in ("PENDING", "RUNNING"):
        if time.monotonic() > end:
            raise RuntimeError(f"the job is {status} after {START_S} s")
        time.sleep(1)
    printed: str = json.loads(asked(f"8265/api/jobs/{job}/logs"))["logs"]
    if status != "SUCCEEDED":
        raise RuntimeError(f"the job is {status}:\n{printed[-4000:]}")
    return printed


def main() -> None:
    """Starts Ray and runs a job."""
    image = sys.argv[1]
    subprocess.run(["podman", "rm", "--force", "--ignore", NAME], capture_output=True, check=True)
    podman("run", "--detach", "--name", NAME, *OPTIONS, "--entrypoint=/bin/bash", image, "-c", "--", START)
    try:
        sys.stdout.write(f"Ray's probes pass after {wait_healthy():.0f} s\n")
        submitted = json.loads(
            asked("8265/api/jobs/", {"entrypoint": f"'python' '-c' '{JOB.replace(chr(39), chr(34))}'"})
        )
        printed = finished(submitted["submission_id"])
        assert "users [1034] rows 1000 scans manifest.json" in printed, printed[-4000:]
        sys.stdout.write("a job was run by user 1034\n")
    finally:
        subprocess.run(["podman", "rm", "--force", "--ignore", NAME], capture_output=True, check=True)


if __name__ == "__main__":
    main()
