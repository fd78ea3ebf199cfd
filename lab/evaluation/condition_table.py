"""The robustness report as Markdown: a table with a row for each condition, and what follows from it in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.evaluation.conditions import NOT_RUN

_COLUMNS = (
    *("condition", "bona fide + spoofed", "EER (95 % interval)", "change of EER", "BPCER", "APCER"),
    *("change of their mean", "threshold for the wanted BPCER", "APCER there"),
)


def table(document: Mapping[str, Any]) -> str:
    """A row for each condition; those that were not run say why.

    Args:
        document: what `lab.robustness` writes as JSON.
    """
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in document["conditions"])])


def sentences(document: Mapping[str, Any]) -> Sequence[str]:
    """What breaks the model, and the threshold that the worst condition needs; one sentence each."""
    summary, threshold = document["summary"], document["threshold"]
    if summary["worst"] is None:
        return ["No condition but the clean files was measured."]
    if broken := summary["broken_by"]:
        first = f"Broken by {', '.join(broken)}: more errors at the threshold than on the clean files, beyond chance."
    else:
        first = "No condition adds errors at the threshold beyond chance."
    rows = {row["name"]: row for row in document["conditions"]}
    worst = rows[summary["worst"]]
    found = [first, f"Worst: {worst['name']} ({worst['description']}), {_needs(worst, document['wanted_bpcer'])}."]
    if not summary["mended_by_threshold"]:
        found.append("It also separates the classes worse than the clean files, which no threshold mends.")
    clean = document["conditions"][0]
    if clean["eer"]["high"] >= 0.5:
        found.append("Already on the clean files the EER cannot be told from chance: there is little left to break.")
    found.append(f"Rates are at the threshold {threshold['value']:.4g} ({threshold['origin']}).")
    return found


def _needs(row: Mapping[str, Any], wanted_bpcer: float) -> str:
    if (needed := row["needed"]) is None:
        return f"where no threshold keeps the BPCER at {_percent(wanted_bpcer)}"
    return (
        f"needs the threshold {needed['threshold']:.4g} for a BPCER of at most {_percent(wanted_bpcer)}: "
        f"{_percent(needed['apcer'])} of its spoofs are then missed, {_percent(needed['clean_apcer'])} of clean ones"
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["status"] == NOT_RUN:
        return [row["name"], f"not run: {row['reason']}", *[""] * (len(_COLUMNS) - 2)]
    needed, change = row["needed"], row["change"]
    return [
        row["name"],
        f"{row['bonafide']} + {row['spoof']}",
        f"{_percent(row['eer']['value'])} ({100 * row['eer']['low']:.1f}-{100 * row['eer']['high']:.1f})",
        _points(change.get("eer")),
        _percent(row["bpcer"]["value"]),
        _percent(row["apcer"]["value"]),
        _points(change.get("hter")),
        f"{needed['threshold']:.4g}" if needed else "none",
        _percent(needed["apcer"]) if needed else "",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(change: Mapping[str, float] | None) -> str:
    """A difference in percentage points, with its interval."""
    if change is None:
        return ""
    value, low, high = (100 * change[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
