"""Small results of scans, made row by row, as `scan/` would write them."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scan.schema import MANIFEST, MANIFEST_FORMAT, RECORDINGS, WINDOWS

Row = dict[str, Any]
BEGIN = datetime(2024, 3, 1, 7, tzinfo=UTC)
THRESHOLD = 0.6


def recording(key: str, **changes: Any) -> Row:
    """A bona fide recording of 8 seconds, with changes."""
    row: Row = dict.fromkeys(RECORDINGS.names)
    row |= {
        "bucket": "calls", "key": key, "etag": f"etag-{key}", "size": 1000, "modified": BEGIN,
        "content_id": "sha256-00", "task": "voice", "codec": "wav", "sample_rate": 8000, "seconds": 8.0,
        "speech_seconds": 6.0, "label": "bonafide", "score": 0.2, "threshold": THRESHOLD, "partially_spoofed": False,
        "conditions": [], "warnings": [], "suspicious": [], "member_scores": [], "calibrated": True, "windows": 2,
        "model_name": "wavlm", "model_version": "1", "model_fingerprint": "f1", "engine": "openvino", "device": "cpu",
        "precision": "bf16", "demo": False, "scanned_at": BEGIN + timedelta(days=400),
    }  # fmt: skip
    return row | changes


def failed(key: str, code: str = "unreadable_media", message: str = "no audio in it", **changes: Any) -> Row:
    """A row without a verdict."""
    nothing = dict.fromkeys(("label", "score", "threshold", "partially_spoofed", "conditions", "warnings", "suspicious",
                             "seconds", "speech_seconds", "calibrated", "windows", "member_scores"))  # fmt: skip
    return recording(key, error_code=code, error_message=message) | nothing | changes


def windows(row: Row, scores: Sequence[float | None], channel: str | None = None, seconds: float = 4.0) -> list[Row]:
    """A recording's windows, one after the other."""
    return [
        dict.fromkeys(WINDOWS.names)
        | {
            "key": row["key"], "etag": row["etag"], "channel": channel, "index": index, "start": index * seconds,
            "end": (index + 1) * seconds, "score": score, "speech_ratio": 0.9, "member_scores": [],
            "label": "no_speech" if score is None else "spoof" if score >= THRESHOLD else "bonafide",
        }
        for index, score in enumerate(scores)
    ]  # fmt: skip


def random_rows(count: int, seed: int = 1) -> list[Row]:
    """Rows of all kinds: several days, sources, codecs, models, labels, errors and photos."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        key = f"{chance.choice(['branch-a/in/', 'branch-a/out/', 'branch-b/x/', ''])}{number:06}.wav"
        changes: Row = {
            "modified": BEGIN + timedelta(hours=chance.randrange(24 * 10)),
            "codec": chance.choice(["wav", "mulaw", "mp3"]),
            "size": chance.randrange(10_000),
        }
        if chance.random() < 0.1:
            code = chance.choice(["unreadable_media", "too_large"])
            rows.append(failed(key, code, f"message of {number}", **changes | {"codec": chance.choice(["wav", None])}))
            continue
        changes["seconds"] = chance.uniform(1, 100)
        score = chance.choice([0.0, 1.0, chance.random(), chance.random()])
        version = chance.choice(["1", "2"])
        changes |= {"model_version": version, "model_fingerprint": f"f{version}"}
        changes |= {"score": score, "label": "spoof" if score >= THRESHOLD else "bonafide"}
        kind = chance.randrange(5)
        if kind == 0:
            changes |= {
                "score": None,
                "label": "no_speech",
                "decision": "uncertain",
                "error_message": "no speech in it",
            }
        elif kind == 1:
            changes |= {"decision": "spoof" if score >= 0.8 else "uncertain" if score >= 0.4 else "bonafide"}
        elif kind == 2:
            changes |= {"label": "fake" if score >= THRESHOLD else "live", "task": "face", "codec": "jpeg"}
            changes |= {
                "seconds": None,
                "windows": None,
                "model_name": "dinov2",
                "model_version": "1",
                "model_fingerprint": "g",
            }
            changes |= {"reason": chance.choice(["several faces", None, ""])}
        elif kind == 3 and score < THRESHOLD:
            stretches = [
                {"start": 4.0 * i, "end": 4.0 * i + 4, "score": chance.uniform(0.6, 1)}
                for i in range(chance.randrange(3))
            ]
            changes |= {"suspicious": stretches, "partially_spoofed": bool(stretches)}
        changes["conditions"] = chance.sample(["short", "noisy", "clipped"], chance.randrange(3))
        changes["warnings"] = chance.choice([[], ["resampled"]])
        rows.append(recording(key, **changes))
    return rows


def written(folder: Path, rows: Sequence[Row], window_rows: Sequence[Row] = (), parts: int = 1) -> Path:
    """Writes results in several parts, with one file that the manifest does not name."""
    named = []
    for number in range(parts):
        own = rows[number::parts]
        keys = {row["key"] for row in own}
        own_windows = [row for row in window_rows if row["key"] in keys]
        part: Row = {"rows": len(own), "window_rows": len(own_windows)}
        for name, schema, table in (("recordings", RECORDINGS, own), ("windows", WINDOWS, own_windows)):
            part[name] = f"{name}/{number}.parquet"
            (folder / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(list(table), schema), folder / part[name], row_group_size=50)
        named.append(part)
    left = [recording("left-over.wav", score=1.0, label="spoof")]
    pq.write_table(pa.Table.from_pylist(left, RECORDINGS), folder / "recordings" / "unfinished.parquet")
    manifest = {"format": MANIFEST_FORMAT, "scan": {"archive": "s3://calls/", "task": "voice"}, "parts": named}
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder
