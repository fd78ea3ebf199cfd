"""One word for what a scan found of a recording or photo, the same for voices and faces."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SPOOF, BONAFIDE, UNCERTAIN, NO_SPEECH, ERROR = "spoof", "bonafide", "uncertain", "no_speech", "error"
OUTCOMES = (SPOOF, UNCERTAIN, BONAFIDE, NO_SPEECH, ERROR)
JUDGED = (SPOOF, UNCERTAIN, BONAFIDE)
COLUMNS = ("label", "decision", "error_code")
"""Columns of the table of recordings that `outcomes` reads."""


def outcomes(rows: pa.RecordBatch) -> Any:
    """The outcome of each row: an error, no speech, else the decision, and where there is no band the label.

    Args:
        rows: with `COLUMNS`.

    Returns:
        An array of `OUTCOMES`. "fake" of a photo is "spoof", "live" is "bonafide".
    """
    label = rows["label"]
    said = pc.coalesce(rows["decision"], label)
    said = pc.if_else(pc.is_in(said, pa.array(["fake"])), SPOOF, said)
    said = pc.if_else(pc.is_in(said, pa.array(["live"])), BONAFIDE, said)
    said = pc.if_else(pc.is_in(label, pa.array([NO_SPEECH])), NO_SPEECH, said)
    failed = pc.or_(pc.is_valid(rows["error_code"]), pc.is_null(label))
    return pc.if_else(failed, ERROR, said)
