"""The figures of a comparison as tables for a terminal."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

_BAR = 20
_ITEMS = {"voice": "recordings and live sessions", "face": "photos"}


def show(pair: Mapping[str, Any], console: Console, listed: int) -> None:
    """Prints one pair of models.

    Args:
        pair: one of `lab.comparison.figures.figures`.
        console: to print to.
        listed: most items with another label, of each pair of thresholds.
    """
    served, shadow = (f"{pair[side]['name']} {pair[side]['version']}" for side in ("served", "shadow"))
    console.print(f"{pair['task']}: served {served}, shadow {shadow}", style="bold")
    difference, correlation = pair["difference"], pair["rank_correlation"]
    console.print(
        f"{pair['items']} {_ITEMS[pair['task']]}, {pair['scores']} scores. Shadow less served: "
        f"mean {difference['mean']:+.3f}, absolute {difference['mean_absolute']:.3f}, "
        f"90 % within {difference['p5']:+.3f} to {difference['p95']:+.3f}. "
        f"Rank correlation: {'-' if correlation is None else f'{correlation:.3f}'}."
    )
    given, wanted = pair["served"]["window_samples"], pair["shadow"]["window_samples"]
    if given and wanted and wanted > given:
        console.print(
            f"The shadow takes windows of {wanted} samples and was given {given}: served, it would score a little "
            "differently.",
            style="yellow",
        )
    console.print(_histogram(pair["histograms"]))
    console.print(_differences(pair["histograms"]))
    console.print(_thresholds(pair))
    for each in pair["thresholds"]:
        if each["changed"] and listed:
            console.print(_changed(each, listed))


def _histogram(histograms: Mapping[str, Any]) -> Table:
    table = Table(title="scores of windows or photos")
    table.add_column("score")
    for side in ("served", "shadow"):
        table.add_column(side, justify="right")
        table.add_column("")
    rows = zip(_ranges(histograms["edges"]), histograms["served"], histograms["shadow"], strict=True)
    most = max([*histograms["served"], *histograms["shadow"], 1])
    for name, served, shadow in rows:
        table.add_row(name, str(served), _bar(served, most), str(shadow), _bar(shadow, most))
    return table


def _differences(histograms: Mapping[str, Any]) -> Table:
    table = Table(title="shadow less served")
    table.add_column("difference")
    table.add_column("scores", justify="right")
    table.add_column("")
    most = max([*histograms["difference"], 1])
    for name, count in zip(_ranges(histograms["difference_edges"]), histograms["difference"], strict=True):
        table.add_row(name, str(count), _bar(count, most))
    return table


def _thresholds(pair: Mapping[str, Any]) -> Table:
    table = Table(title="labels")
    attack = "fake" if pair["task"] == "face" else "spoof"
    for column in ("threshold, served", "shadow", "same label", f"newly {attack}", f"no longer {attack}"):
        table.add_column(column, justify="right")
    for each in pair["thresholds"]:
        counts = (str(each["newly_attack"]), str(each["no_longer_attack"]))
        table.add_row(_stated(each["served"]), _stated(each["shadow"]), f"{100 * each['agreement']:.1f} %", *counts)
    return table


def _changed(at: Mapping[str, Any], listed: int) -> Table:
    changed = at["changed"]
    table = Table(title=f"another label at {_stated(at['served'])} and {_stated(at['shadow'])}")
    table.add_column("request", overflow="fold")
    table.add_column("task", overflow="fold")
    table.add_column("served", justify="right")
    table.add_column("shadow", justify="right")
    for each in changed[:listed]:
        verdicts = (f"{each[side]['label']} {each[side]['score']:.3f}" for side in ("served", "shadow"))
        table.add_row(each["request_id"], each["task_id"], *verdicts)
    if len(changed) > listed:
        table.caption = f"and {len(changed) - listed} more; --list N, or --json for all"
    return table


def _ranges(edges: Sequence[float]) -> list[str]:
    return [f"{low:g} to {high:g}" for low, high in pairwise(edges)]


def _bar(count: int, most: int) -> str:
    return "#" * -(-_BAR * count // most)


def _stated(thresholds: Sequence[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in thresholds)
