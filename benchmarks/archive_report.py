"""Time and memory of the report of a large archive: `python -m benchmarks.archive_report [--rows N] [--parts N]`.

Makes a result of as many recordings as are asked for, without windows; its report is written by another process.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scan.schema import MANIFEST, MANIFEST_FORMAT, RECORDINGS, WINDOWS

SOURCES = 20_000
DAYS = 1000
_SAME = {
    "bucket": "calls", "etag": "e", "size": 128_000, "content_id": "sha256-0", "task": "voice", "codec": "wav",
    "sample_rate": 8000, "threshold": 0.5, "partially_spoofed": False, "calibrated": True, "windows": 0,
    "model_name": "model", "model_version": "1", "model_fingerprint": "f", "engine": "openvino", "device": "cpu",
    "precision": "bf16", "demo": False, "conditions": ["narrow_band"], "warnings": [], "suspicious": [],
}  # fmt: skip
_REPORT = """
import argparse, sys
from scan.report.command import add_options, run
parser = argparse.ArgumentParser()
add_options(parser)
sys.exit(run(parser.parse_args()))
"""


def part(rows: int, seed: int) -> pa.Table:
    """A table of recordings with scores at random, a hundredth of them errors."""
    chance = np.random.default_rng(seed)
    columns = {name: pa.repeat(pa.scalar(value, RECORDINGS.field(name).type), rows) for name, value in _SAME.items()}
    score = chance.beta(0.3, 3.0, rows)
    failed = chance.random(rows) < 0.01
    first = np.datetime64(datetime(2023, 1, 1, tzinfo=UTC).replace(tzinfo=None), "us")
    days = first + chance.integers(0, DAYS, rows).astype("timedelta64[D]")
    columns["key"] = pa.array(
        [f"{source}/{seed}/{row}.wav" for row, source in enumerate(chance.integers(0, SOURCES, rows))]
    )
    columns["modified"] = columns["scanned_at"] = pa.array(days).cast(RECORDINGS.field("modified").type)
    columns["seconds"] = columns["speech_seconds"] = pa.array(chance.uniform(5, 600, rows))
    columns["score"] = pa.array(score, mask=failed)
    columns["label"] = pa.array(np.where(score >= 0.5, "spoof", "bonafide"), mask=failed)
    columns["error_code"] = pa.array(np.full(rows, "unreadable_media"), mask=~failed)
    missing = [name for name in RECORDINGS.names if name not in columns]
    columns |= {name: pa.nulls(rows, RECORDINGS.field(name).type) for name in missing}
    return pa.table([columns[name] for name in RECORDINGS.names], schema=RECORDINGS)


def make(folder: Path, rows: int, parts: int) -> None:
    """Writes a result."""
    named = []
    for number in range(parts):
        table = part(rows * (number + 1) // parts - rows * number // parts, number)
        names = {"recordings": f"recordings/{number}.parquet", "windows": f"windows/{number}.parquet"}
        for name, written in (("recordings", table), ("windows", WINDOWS.empty_table())):
            (folder / name).mkdir(exist_ok=True)
            pq.write_table(written, folder / names[name], compression="zstd")
        named.append({**names, "rows": len(table), "window_rows": 0})
    manifest = {"format": MANIFEST_FORMAT, "scan": {}, "parts": named}
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def main() -> None:
    """Makes, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--parts", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.rows, options.parts)
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", _REPORT, folder, "--out", folder / "report.html"], check=True)
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = (folder / "report.html").stat().st_size
    print(
        f"{options.rows:,} rows in {options.parts:,} parts: {seconds:.0f} s ({used.ru_utime + used.ru_stime:.0f} s "
        f"of a processor), {used.ru_maxrss / 1024:.0f} MB, a report of {size / 1024:.0f} kB"
    )


if __name__ == "__main__":
    main()
