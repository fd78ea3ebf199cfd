"""Markdown output: tables, and one line about the machine without its name or folders."""

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = ("torch", "openvino", "transformers", "bentoml", "grpcio")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up in plain text too; the first column is left-aligned, the others right."""
    widths = [max(3, *(len(row[column]) for row in [head, *rows])) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(map(line, [head, rule, *rows]))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` % of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def say(text: str) -> None:
    """Prints at once."""
    print(text, flush=True)


def machine() -> str:
    """Cores, CPU, memory, versions."""
    model, flags = _cpu()
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model} ({', '.join(flags) or 'no vector extensions named'}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB; Python {platform.python_version()}, {packages}"
    )


def load_average() -> str:
    """Processes that were runnable in the last minute, on average; near 0 on an idle machine."""
    return f"{os.getloadavg()[0]:.1f}"


def _cpu() -> tuple[str, list[str]]:
    """Model and the vector extensions that matter here."""
    facts: dict[str, str] = {}
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    present = set(facts.get("flags", "").split())
    return facts.get("model name", platform.machine()), [flag for flag in _FLAGS if flag in present]
