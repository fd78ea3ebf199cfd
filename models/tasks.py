"""Whether a model judges voices or faces, as its files say."""

from models.catalog import find_model
from models.checkpoint import read_checkpoint
from models.converted import read_converted
from models.info import Task
from models.manifest_file import read_ensemble, read_manifest
from models.options import LoadOptions


def guess_task(reference: str, options: LoadOptions) -> Task | None:
    """Voice or face, as stated by the model's files; None: not stated.

    Raises:
        ModelError: there is no such model.
    """
    if reference.strip() == "bundled":
        return None
    files = find_model(reference, "voice", options.models_dir, offline=options.offline)
    if files.is_pth:
        return "voice"
    if files.is_converted:
        task = read_converted(files.path).task
        return None if task == "speech" else task
    if files.is_ensemble:
        return read_ensemble(files.path).task
    if files.is_onnx:
        return read_manifest(files.path).task
    processor = read_checkpoint(files.path, files.base).processor
    if "sampling_rate" in processor:
        return "voice"
    return "face" if "image_processor_type" in processor or "image_mean" in processor else None
