"""The two tables of a scan's result, as Parquet: a row for each recording or photo, and for each window of a recording.

Imports nothing of this project. Scores are P(spoof), or P(fake) of a photo, 0..1; times are seconds.
"""

import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")

STRETCH = pa.struct(
    [
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)
"""A suspicious stretch of a recording, as `bonafide.verdict.SuspiciousStretch`."""

MEMBER_SCORES = pa.map_(pa.string(), pa.float64())
"""Scores of an ensemble's members by their names; empty of a single model."""

RECORDINGS = pa.schema(
    [
        # The object.
        pa.field("bucket", pa.string(), nullable=False),  # of a folder: its path as it was given
        pa.field("key", pa.string(), nullable=False),  # below the bucket or folder; no two rows have the same
        pa.field("etag", pa.string(), nullable=False),  # of the storage; of a file: of its inode, size and times
        pa.field("size", pa.int64(), nullable=False),  # bytes
        pa.field("modified", _TIME, nullable=False),  # as the storage says
        pa.field("content_id", pa.string()),  # "sha256-<hex>" of its bytes; null: they could not be read
        pa.field("task", pa.string(), nullable=False),  # "voice" or "face"
        pa.field("codec", pa.string()),  # a word of `bonafide.media_format`; null: never read
        pa.field("sample_rate", pa.int32()),  # Hz, of WAV and FLAC files; null: of others
        pa.field("seconds", pa.float64()),  # of audio; null of a photo, and without a verdict
        pa.field("speech_seconds", pa.float64()),
        # The verdict, as the API names it; all null where there is an error code.
        pa.field("label", pa.string()),  # "spoof", "bonafide", "no_speech"; "fake", "live" of a photo
        pa.field("score", pa.float64()),  # null without speech
        pa.field("threshold", pa.float64()),
        pa.field("decision", pa.string()),  # "bonafide", "spoof", "uncertain"; null without a band
        pa.field("llr", pa.float64()),
        pa.field("partially_spoofed", pa.bool_()),
        pa.field("conditions", pa.list_(pa.string())),
        pa.field("warnings", pa.list_(pa.string())),
        pa.field("suspicious", pa.list_(STRETCH)),
        pa.field("member_scores", MEMBER_SCORES),
        pa.field("calibrated", pa.bool_()),
        pa.field("reason", pa.string()),  # of a photo: why its verdict should not be relied on
        pa.field("faces", pa.int32()),  # in a photo
        pa.field("windows", pa.int32()),  # rows of the other table
        pa.field("channel", pa.string()),  # whose verdict this is; null: of all together
        # What judged.
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("model_fingerprint", pa.string(), nullable=False),
        pa.field("engine", pa.string(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("precision", pa.string(), nullable=False),
        pa.field("demo", pa.bool_(), nullable=False),  # one of the bundled models
        # What went wrong.
        pa.field("error_code", pa.string()),  # a value of `bonafide.errors.ErrorCode`; null: there is a verdict
        pa.field("error_message", pa.string()),  # also beside a verdict: windows without a score, or no speech
        pa.field("scanned_at", _TIME, nullable=False),
    ]
)

WINDOWS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("channel", pa.string()),  # null: of all together
        pa.field("index", pa.int32(), nullable=False),  # 0, 1, 2, ... in its channel
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("score", pa.float64()),  # null without speech
        pa.field("label", pa.string(), nullable=False),  # "spoof", "bonafide", "no_speech"
        pa.field("speech_ratio", pa.float64(), nullable=False),  # 0..1
        pa.field("llr", pa.float64()),
        pa.field("member_scores", MEMBER_SCORES),
    ]
)

MANIFEST = "manifest.json"
"""Beside both folders: what counts. A file that it does not name is no part of the result.

`{"format": 1, "scan": {...}, "parts": [{"recordings": PATH, "windows": PATH, "rows": N, "window_rows": N}, ...]}`,
where paths are relative to the manifest, such as `recordings/<id>.parquet`.
"""
MANIFEST_FORMAT = 1
RECORDINGS_FOLDER = "recordings"
WINDOWS_FOLDER = "windows"
