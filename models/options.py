"""How a model is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class LoadOptions:
    """How a model is loaded.

    Attributes:
        engine: which engine; `auto` takes torch where CUDA is, else OpenVINO.
        precision: which arithmetic; `auto` takes bf16 where the device is quicker in it.
        models_dir: where models of the hub are kept.
        compiled_dir: where converted models are kept.
        offline: never access the hub.
        spoof_label: name or index of the class that means spoof, or `not` and that of the one that means bona fide,
            when the names do not decide it.
        threads: CPU threads of the engine; 0: all CPUs that this process may use.
        max_batch: most items of one batch; 0: whatever suits the device.
        calibrated: apply the calibration that lies beside the weights, if there is one.
    """

    models_dir: Path
    compiled_dir: Path
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    offline: bool = False
    spoof_label: str | None = None
    threads: int = 0
    max_batch: int = 0
    calibrated: bool = True
