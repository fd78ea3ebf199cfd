"""Writes a finished face model as a folder in transformers' format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from models.preprocessing import IMAGENET_MEAN, IMAGENET_STD


def export(model: PreTrainedModel, geometry: Mapping[str, Any], output: Path) -> None:
    """Writes weights, configuration and processor file as in the DINOv2 family.

    Args:
        model: on the CPU.
        geometry: the processor's entries on resizing and cutting.
        output: folder; made where it is missing.
    """
    output.mkdir(parents=True, exist_ok=True)
    model.train(False)
    model.save_pretrained(output)
    processor = {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "resample": 3,
        **geometry,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "do_convert_rgb": True,
    }
    (output / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
