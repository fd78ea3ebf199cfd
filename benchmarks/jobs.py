"""Jobs behind live calls: delays of live windows without and with a job, in turns of one run, and the job's pace.

The service runs in its own processes with the bundled models, objects in a folder and jobs in SQLite. Each recording
differs in its bits, so that none comes from the cache. At the end every key must have exactly one result. With `--kill`
instead: objects in MinIO, jobs in Valkey, and all processes of the service are killed at half of the job.

Usage: python -m benchmarks.jobs [--recordings 10000] [--sockets 4] [--turns 3] [--seconds 10] [--kill]
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import wav_file
from benchmarks.live import measure, speech
from benchmarks.processes import ready
from benchmarks.tables import load_average, machine, markdown_table, percentile, say
from benchmarks.voices import LiveLoad
from scripts.local_service import LocalService, running, start
from tests.servers import ACCESS_KEY, SECRET_KEY, minio_client, start_minio, start_valkey

_BUCKET = "archive"
_WHOLE = {"bucket": _BUCKET, "prefix": "whole/"}
_SECONDS = 4
_MOST_A_SECOND = 60
"""Recordings of a turn, for each of its seconds: more than can be judged, so that the job outlasts it."""


def write_recordings(folder: Path, count: int, seed: int) -> None:
    """Recordings of 4 s at 16 kHz from the sample's voice, each altered in its lowest bits."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    sounds = [sound[: 16_000 * _SECONDS] for sound in speech()]
    for index in range(count):
        sound = sounds[index % len(sounds)] ^ rng.integers(0, 2, 16_000 * _SECONDS, np.int16)
        (folder / f"{index:06}.wav").write_bytes(wav_file(sound))


def asked(service: LocalService, method: str, path: str, body: object = None) -> bytes:
    """The body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{service.url}{path}", data, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def job_of(service: LocalService, job_id: str) -> dict[str, Any]:
    """How far a job is."""
    job: dict[str, Any] = json.loads(asked(service, "GET", f"/jobs/{job_id}"))
    return job


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--recordings", type=int, default=10_000, help="of the job (%(default)s)")
    parser.add_argument("--sockets", type=int, default=4, help="live voices at a time (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="of each, without and with the job (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each turn (%(default)s)")
    parser.add_argument("--kill", action="store_true", help="only a job whose service is killed")
    parser.add_argument("--only-live", action="store_true", help="leave out the job to its end, of --recordings")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str]) -> None:
    """Runs the benchmark."""
    chosen = arguments(command_line)
    say(f"{machine()}\n\nLoad average at the start: {load_average()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.kill:
            say(killed(folder, chosen.recordings))
            return
        bucket = folder / "objects" / _BUCKET
        each_turn = int(_MOST_A_SECOND * (chosen.seconds + 5))
        for turn in range(chosen.turns):
            write_recordings(bucket / f"turn{turn}", each_turn, seed=turn)
        if not chosen.only_live:
            write_recordings(bucket / "whole", chosen.recordings, seed=chosen.turns)
        env = {
            "BONAFIDE_JOBS": "true",
            "BONAFIDE_JOBS_DB": str(folder / "jobs.db"),
            "BONAFIDE_JOBS_MAX_KEYS": str(max(chosen.recordings, each_turn)),
            "BONAFIDE_OBJECTS_DIR": str(folder / "objects"),
            "BONAFIDE_OFFLINE": "true",
            "BONAFIDE_LOG_FORMAT": "json",
        }
        with ready(folder, env) as (service, _):
            _run(service, chosen)
    say(f"Load average at the end: {load_average()}")


def _run(service: LocalService, chosen: argparse.Namespace) -> None:
    sounds = speech()
    load = LiveLoad(chosen.sockets, run_in_s=2.0, seconds=chosen.seconds)
    measure(service, load, sounds)  # BentoML's batcher learns from its first dozens
    delays: dict[bool, list[list[float]]] = {False: [], True: []}
    judged, failed, spent = 0, 0, 0.0
    for turn in range(chosen.turns):
        delays[False].append(measure(service, load, sounds).result.delays_s)
        job = json.loads(asked(service, "POST", "/jobs", {"bucket": _BUCKET, "prefix": f"turn{turn}/"}))
        began = time.monotonic()
        delays[True].append(measure(service, load, sounds).result.delays_s)
        found = job_of(service, job["id"])
        judged, failed, spent = judged + found["done"], failed + found["failed"], spent + time.monotonic() - began
        still = found["state"] == "running"
        asked(service, "DELETE", f"/jobs/{job['id']}")
        if not still:
            raise RuntimeError("the job ended before its turn")
    if failed:
        raise RuntimeError(f"{failed} recordings of the jobs were not judged")
    pooled = {busy: [delay for each in turns for delay in each] for busy, turns in delays.items()}
    p99 = {busy: percentile(each, 99) for busy, each in pooled.items()}
    rows = [
        ("with a job" if busy else "idle", str(len(each)), *(f"{1000 * percentile(each, q):.0f}" for q in (50, 90, 99)))
        for busy, each in pooled.items()
    ]
    say(markdown_table(("live windows", "windows", "p50 ms", "p90 ms", "p99 ms"), rows))
    say(f"\np99 with a job is {p99[True] / p99[False]:.2f} times that without, over {chosen.turns} turns of each;")
    say(f"the job judged {judged / spent:.1f} recordings of {_SECONDS} s a second beside {chosen.sockets} voices.")
    if not chosen.only_live:
        _whole(service, chosen.recordings)


def _whole(service: LocalService, count: int) -> None:
    """A job to its end, without live voices."""
    began = time.monotonic()
    job = json.loads(asked(service, "POST", "/jobs", _WHOLE))
    _until(service, job["id"], count)
    wall_s = time.monotonic() - began
    _check(service, job["id"], count)
    say(f"alone: {count} recordings in {wall_s:.0f} s, {count / wall_s:.1f} a second; each has one result.")


def killed(folder: Path, count: int) -> str:
    """Kills the service at half of a job, and starts it again; what that cost, in a sentence.

    Raises:
        RuntimeError: the job failed, or a key has no verdict, or several.
    """
    write_recordings(folder / "whole", count, seed=0)
    with ExitStack() as servers:
        minio = start_minio(folder)
        servers.callback(minio.stop)
        valkey = start_valkey(folder)
        servers.callback(valkey.stop)
        client = minio_client(minio)
        client.make_bucket(_BUCKET)
        for path in (folder / "whole").iterdir():
            client.fput_object(_BUCKET, f"whole/{path.name}", str(path))
        env = {
            "BONAFIDE_JOBS": "true",
            "BONAFIDE_JOBS_MAX_KEYS": str(count),
            "BONAFIDE_OFFLINE": "true",
            "MINIO_ENDPOINT": minio.address,
            "MINIO_ACCESS_KEY": ACCESS_KEY,
            "MINIO_SECRET_KEY": SECRET_KEY,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(valkey.port),
        }
        began = time.monotonic()
        service = start(folder / "first.log", env)
        try:
            service.wait_ready()
            job = json.loads(asked(service, "POST", "/jobs", _WHOLE))
            kept = _until(service, job["id"], count // 2)
        finally:
            os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()
        at_s = time.monotonic() - began
        with running(folder / "second.log", env) as service:
            _until(service, job["id"], count)
            _check(service, job["id"], count)
    return (
        f"All processes of the service were killed after {at_s:.0f} s with {kept} of {count} judged; started again, it "
        f"had judged all after {time.monotonic() - began:.0f} s, each key once."
    )


def _until(service: LocalService, job_id: str, judged: int) -> int:
    """How many recordings of the job are judged, as soon as they are that many."""
    while True:
        job = job_of(service, job_id)
        if (found := job["done"] + job["failed"]) >= judged:
            return int(found)
        if job["state"] == "cancelled":
            raise RuntimeError("the job was cancelled")
        time.sleep(1.0)


def _check(service: LocalService, job_id: str, count: int) -> None:
    lines = asked(service, "GET", f"/jobs/{job_id}/results").splitlines()
    results = [json.loads(line) for line in lines]
    keys = Counter(result["key"] for result in results if "verdict" in result)
    if len(keys) != count or set(keys.values()) != {1}:
        raise RuntimeError("a key has no verdict, or several")


if __name__ == "__main__":
    main(sys.argv[1:])
