"""How many items go through an engine at once; no dependencies.

A GPU needs large batches. On a CPU they save little and only delay the first answer.
"""

from models.info import Device, Task

_BEST: dict[Task, dict[Device, int]] = {"voice": {"cpu": 4, "cuda": 64}, "face": {"cpu": 8, "cuda": 64}}


def batch_size(task: Task, device: Device, chosen: int = 0) -> int:
    """Most items of one batch: full windows, or photos.

    Args:
        task: of the model.
        device: where its engine runs.
        chosen: by the settings; 0: whatever suits the device.
    """
    return chosen or _BEST[task][device]
