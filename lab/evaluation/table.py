"""The report as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_RATES = ("eer", "apcer", "worst_apcer", "bpcer", "acer")
_OVERALL = (
    ("eer", "EER"),
    ("auc", "AUC"),
    ("within_source_auc", "AUC within sources"),
    ("min_dcf", "minDCF (ASVspoof 5)"),
    ("cllr", "Cllr, bits"),
    ("bpcer", "BPCER"),
    ("apcer", "APCER, all attacks"),
    ("worst_apcer", "APCER, worst species"),
    ("acer", "ACER"),
)


def show(document: Mapping[str, Any], console: Console) -> None:
    """Prints the figures of a report.

    Args:
        document: what `lab.evaluate` writes as JSON.
        console: to print to.
    """
    overall, threshold = document["overall"], document["threshold"]
    table = Table(title=f"{document['model']['name']} {document['model']['version']} on {document['data']['kind']}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, title in _OVERALL:
        if name in overall:
            table.add_row(title, *_cells(name, overall))
    table.caption = (
        f"{overall['bonafide']} bona fide of {overall['bonafide_subjects']} subjects, "
        f"{overall['spoof']} spoof of {overall['spoof_subjects']}; "
        f"threshold {threshold['value']:.4g} ({threshold['origin']})"
    )
    console.print(table)
    for title, groups in (("attack", "attacks"), ("novelty", "training"), ("source", "sources")):
        if document[groups]:
            console.print(_breakdown(title, document[groups]))
    if reasons := document["reasons"]:
        table = Table(title="weak photos", caption="scored all the same")
        for column in ("reason", "bona fide", "spoof"):
            table.add_column(column, justify="left" if column == "reason" else "right")
        for name, counts in reasons.items():
            table.add_row(name, str(counts["bonafide"]), str(counts["spoof"]))
        console.print(table)


def _breakdown(title: str, groups: Mapping[str, Any]) -> Table:
    rates = ("eer", "apcer", "bpcer") if title == "source" else ("eer", "apcer")
    table = Table(title=f"per {title}")
    table.add_column(title, overflow="fold", min_width=14)
    for column in ("bona fide", "spoof", *(rate.upper() for rate in rates)):
        table.add_column(column, justify="right")
    for name, figures in groups.items():
        cells = [" ".join(_cells(rate, figures)) for rate in rates]
        table.add_row(name, str(figures["bonafide"]), str(figures["spoof"]), *cells)
    return table


def _cells(name: str, figures: Mapping[str, Any]) -> tuple[str, str]:
    """Value and interval."""
    if name not in figures:
        return "", ""
    value, low, high = (figures[name][key] for key in ("value", "low", "high"))
    if name in _RATES:
        return f"{100 * value:.1f} %", f"({100 * low:.1f}-{100 * high:.1f})"
    return f"{value:.3f}", "(not known)" if low is None else f"({low:.3f}-{high:.3f})"
