"""Memory of a voice model that scores short windows, each of another length: a markdown table.

What a process has allocated, after so many lengths. The engine keeps what it prepared for a shape, up to a number of
operations (`models.openvino_engine.KEPT_SHAPES`; OpenVINO's own is 5,000).
"""

import argparse
import os
import time

import numpy as np

from benchmarks.memory import allocated_bytes, tree
from benchmarks.tables import machine, markdown_table, say
from models import openvino_engine
from models.configured import load_options, settings_for
from models.preprocessing import SAMPLE_RATE
from models.voice_model import VoiceSpoofModel

_LOOKS = 8
_SECONDS = (1.0, 4.0)
_SEED = 0


def table(model: VoiceSpoofModel, lengths: int) -> list[list[str]]:
    """A row for each look: lengths until then, allocated MiB, milliseconds for a window since the last look.

    Raises:
        RuntimeError: a window has no score.
    """
    shortest, longest = (round(seconds * SAMPLE_RATE) for seconds in _SECONDS)
    random = np.random.default_rng(_SEED)
    chosen = random.permutation(np.arange(shortest, longest))[:lengths]
    noise = (3000 * random.standard_normal(longest)).astype(np.int16)
    rows = [["0", _allocated(), "-"]]
    scored = 0
    for part in np.array_split(chosen, _LOOKS):
        began = time.perf_counter()
        for length in part:
            if np.isnan(model.score([noise[:length]])).any():
                raise RuntimeError(f"{model.info.name} gives a window of {length} samples no score")
        scored += len(part)
        rows.append([str(scored), _allocated(), f"{1000 * (time.perf_counter() - began) / len(part):.0f}"])
    return rows


def _allocated() -> str:
    return f"{allocated_bytes(tree(os.getpid())[:1]) / 2**20:.0f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="bundled", help="a reference (default: bundled)")
    parser.add_argument("--lengths", type=int, default=400, help="how many (default: 400)")
    parser.add_argument("--kept", type=int, default=openvino_engine.KEPT_SHAPES, help="instead of the engine's number")
    arguments = parser.parse_args()
    if arguments.lengths < _LOOKS:
        parser.error(f"--lengths: at least {_LOOKS}")
    openvino_engine.KEPT_SHAPES = arguments.kept
    model = VoiceSpoofModel.load(arguments.model, load_options("voice", settings_for("voice", engine="openvino")))
    say(machine())
    say(markdown_table(["lengths", "allocated MiB", "ms a window"], table(model, arguments.lengths)))


if __name__ == "__main__":
    main()
