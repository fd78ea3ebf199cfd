"""Models of the Hugging Face hub: downloaded once into `models_dir`, and used from there."""

import logging
import shutil
from pathlib import Path

from models.errors import ModelUnavailable, NotConverted
from models.folders import build_once

logger = logging.getLogger(__name__)

_DESCRIPTION = ["config.json", "preprocessor_config.json", "processor_config.json", "calibration.json", "README.md"]
_ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]
_SAFE_WEIGHTS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
_ENOUGH = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")
_PICKLED_WEIGHTS = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]
_WAYS_OUT = (
    "Ways out: give a folder that holds the checkpoint; start once on a machine that reaches the hub and copy its "
    "BONAFIDE_MODELS_DIR here; set HF_ENDPOINT to a mirror; or use `bundled`, the small demonstration model"
)


def saved_model(repository: str, revision: str, models_dir: Path, *, offline: bool) -> Path:
    """Folder of a hub model, downloaded on first use. A saved model is used as it is: the hub is not accessed again.

    Args:
        repository: `org/name`.
        revision: branch, tag or commit.
        models_dir: models are kept below it.
        offline: never access the hub.

    Raises:
        ModelUnavailable: it is not saved here, and the hub is out of reach, refuses, or has no such model, or
            `models_dir` cannot be written.
    """
    folder = models_dir / "hub" / repository.replace("/", "--") / revision.replace("/", "--")
    if folder.is_dir():
        return folder
    if offline:
        raise ModelUnavailable(f"{repository} is not saved in {models_dir} and BONAFIDE_OFFLINE is set. {_WAYS_OUT}")
    try:
        return build_once(folder, lambda fresh: _download(repository, revision, fresh))
    except OSError as error:
        raise ModelUnavailable(
            f"{repository} cannot be saved in BONAFIDE_MODELS_DIR ({models_dir}): {error}; set it to "
            "a folder that can be written"
        ) from error


def _download(repository: str, revision: str, folder: Path) -> None:
    try:
        from huggingface_hub import errors, snapshot_download
    except ModuleNotFoundError as error:
        raise NotConverted(
            f"{repository} would be fetched from the hub and converted, and what does that is not installed here "
            f"({error}); run `python -m models.convert {repository} --out FOLDER` in a checkout or in the cuda image, "
            "and give that FOLDER as the model"
        ) from error

    def fetch(patterns: list[str]) -> None:
        snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=patterns)

    logger.info("downloading model", extra={"model": repository, "revision": revision})
    try:
        fetch(_DESCRIPTION + _ADAPTER + _SAFE_WEIGHTS)
        # What the patterns fetch besides may be variants, which are not loaded.
        if not any((folder / name).is_file() for name in _ENOUGH):
            fetch(_PICKLED_WEIGHTS)
    except errors.GatedRepoError as error:
        raise ModelUnavailable(f"{repository} asks for consent or a token on the hub (set HF_TOKEN)") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelUnavailable(
            f"there is no folder {repository!r} here, and the hub knows no such model in revision {revision!r}: "
            "correct the spelling"
        ) from error
    # Connection, proxy and TLS failures come as httpx errors of several versions, timeouts as OSError.
    except Exception as error:
        raise ModelUnavailable(f"cannot download {repository} from the hub: {_reason(error)}. {_WAYS_OUT}") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes for resuming a download
    if not any((folder / name).is_file() for name in ("config.json", *_ADAPTER[:1])):
        raise ModelUnavailable(
            f"{repository} on the hub holds no config.json, so it is no transformers checkpoint. Ways: download it, "
            "and convert its .pth (`python -m models.convert`) or export it to ONNX (docs/models.md)"
        )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
