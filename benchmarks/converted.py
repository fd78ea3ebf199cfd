"""Describes the bundled models as the service has converted them, for servers that know nothing of it.

Usage: python -m benchmarks.converted MODELS_DIR FILE, where MODELS_DIR was `BONAFIDE_MODELS_DIR` of a service that has
started. A process of its own, since it loads both.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.calibration import read_calibration
from models.catalog import BUNDLED
from models.cpus import usable_cpus
from models.face_model import FaceSpoofModel
from models.info import ModelInfo, Task
from models.options import LoadOptions
from models.voice_model import VoiceSpoofModel


def describe(models_dir: Path) -> dict[Task, dict[str, Any]]:
    """Of each task: path, precision and threads for OpenVINO, batch, calibration, and how a photo is prepared."""
    # Uncalibrated, a model's version is that of its weights, under which it is kept.
    options = LoadOptions(models_dir, models_dir / "compiled", engine="openvino", offline=True, calibrated=False)
    infos = (
        VoiceSpoofModel.load("bundled", options).info,
        FaceSpoofModel.load("bundled", options).info,
    )
    return {info.task: _facts(info, options) for info in infos}


def _facts(info: ModelInfo, options: LoadOptions) -> dict[str, Any]:
    (folder,) = options.compiled_dir.glob(f"{info.version}-*")
    calibration = read_calibration(BUNDLED / info.task, info.version)
    geometry = info.geometry
    return {
        "path": str(folder / "model.xml"),
        "precision": "bf16" if info.precision == "bf16" else "f32",
        "threads": options.threads or usable_cpus(),
        "max_batch": info.max_batch_size,
        "scale": calibration.scale if calibration else 1.0,
        "offset": calibration.offset if calibration else 0.0,
        "size": geometry and [geometry.width, geometry.height],
    }


def main(command_line: Sequence[str]) -> None:
    """Writes the description."""
    models_dir, file = map(Path, command_line)
    file.write_text(json.dumps(describe(models_dir)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
