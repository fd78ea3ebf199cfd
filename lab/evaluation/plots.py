"""The plots of reports, as PNG: DET curve, histogram of the scores, rates by condition. Depends on matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.evaluation.report import ScoredTrials
from lab.evaluation.trials import BONAFIDE
from lab.metrics import Ranking, equal_error_rate
from models.calibration import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_FLOOR = 0.0005
"""Rates below it lie at the edge of the DET curve."""
_MAX_CURVES = 8
_BINS = np.linspace(0.0, 1.0, 51)


def det_curve(judged: ScoredTrials, path: Path, *, title: str) -> None:
    """Draws accepted spoofs against refused bona fide items on normal-deviate axes, overall and per species.

    Args:
        judged: both classes must occur.
        path: of the PNG.
        title: written above.
    """
    figure = _figure(6.0)
    axes = figure.subplots()
    species = sorted(set(judged.attacks.tolist()) - {BONAFIDE})
    bonafide = judged.attacks == BONAFIDE
    curves = [("all attacks", judged)]
    if 1 < len(species) <= _MAX_CURVES:
        curves += [(name, judged.where(bonafide | (judged.attacks == name))) for name in species]
    for name, part in curves:
        curve = Ranking(part.scores, part.spoof).curve()
        label = f"{name}: EER {100 * equal_error_rate(curve):.1f} %"
        width = 2.2 if part is judged else 1.0
        axes.step(_deviate(curve.refused), _deviate(curve.accepted), where="post", label=label, linewidth=width)
    edges = _deviate(np.array([_FLOOR, 1 - _FLOOR]))
    axes.plot(edges, edges, color="0.7", linewidth=0.8, linestyle=":")
    ticks = _deviate(np.array(_TICKS))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks.tolist(), [f"{100 * tick:g} %" for tick in _TICKS])
    low, high = _deviate(np.array([_FLOOR, 0.9]))
    axes.set(
        xlim=(low, high),
        ylim=(low, high),
        xlabel="bona fide refused (BPCER)",
        ylabel="spoofs accepted (APCER)",
        title=title,
    )
    axes.grid(color="0.9")
    axes.legend(loc="upper right", fontsize="small")
    figure.savefig(path)


def score_histogram(judged: ScoredTrials, threshold: float, path: Path, *, title: str) -> None:
    """Draws how the scores of both classes are distributed, and where the threshold lies.

    Args:
        judged: at least one item.
        threshold: drawn as a line.
        path: of the PNG.
        title: written above.
    """
    figure = _figure(4.0)
    axes = figure.subplots()
    for name, members, colour in (("bona fide", ~judged.spoof, "tab:blue"), ("spoof", judged.spoof, "tab:red")):
        if members.any():
            weights = np.full(int(members.sum()), 100.0 / members.sum())
            axes.hist(judged.scores[members], _BINS.tolist(), weights=weights, alpha=0.55, color=colour, label=name)
    axes.axvline(threshold, color="black", linewidth=1.0, linestyle="--", label=f"threshold {threshold:.3g}")
    axes.set(xlim=(0, 1), xlabel="score, P(spoof)", ylabel="% of the class", title=title)
    axes.legend(fontsize="small")
    figure.savefig(path)


def rates_by_condition(rows: Sequence[Mapping[str, Any]], path: Path, *, title: str) -> None:
    """Draws EER, BPCER and APCER of each condition with their intervals, and a line at those of the clean files.

    Args:
        rows: `conditions` of `lab.evaluation.conditions.condition_report`; the first is that of the clean files.
        path: of the PNG.
        title: written above.
    """
    figure = _figure(1.4 + 0.32 * len(rows), width=10.0)
    figure.suptitle(title)
    places = np.arange(len(rows))
    panels = figure.subplots(1, 3, sharey=True)
    for axes, name in zip(panels, ("eer", "bpcer", "apcer"), strict=True):
        for place, row in zip(places, rows, strict=True):
            if name not in row:
                axes.text(0.02, place, "not run", color="0.4", fontsize="small", va="center")
                continue
            value, low, high = (100 * row[name][key] for key in ("value", "low", "high"))
            # Near 0 and 100 % the interval of a bootstrap may lie beside the figure itself.
            reach = [[max(0.0, value - low)], [max(0.0, high - value)]]
            axes.errorbar([value], [place], xerr=reach, fmt="o", color="tab:blue", markersize=4, capsize=2)
        axes.axvline(100 * rows[0][name]["value"], color="0.6", linewidth=0.8, linestyle="--")
        axes.set(xlim=(0, 100), xlabel=f"{name.upper()}, %")
        axes.grid(axis="x", color="0.9")
    panels[0].set_yticks(places, [row["name"] for row in rows])
    panels[0].invert_yaxis()
    figure.savefig(path)


def _figure(height: float, width: float = 6.4) -> "Figure":
    """An empty figure of this size in inches, without a GUI window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, and not all who judge draw
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _deviate(rates: Floats) -> Floats:
    """Normal deviates of rates; equal rates, of which there are many, are computed once."""
    normal = NormalDist()
    distinct, place = np.unique(rates.clip(_FLOOR / 2, 1 - _FLOOR / 2), return_inverse=True)
    return np.array([normal.inv_cdf(float(rate)) for rate in distinct])[place]
