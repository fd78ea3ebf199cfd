"""Errors between a model reference and a ready engine. Every message states what the operator can do."""

from models.printable import printable


class ModelError(Exception):
    """Base of all errors of `models`; the message, of one line, is for the person who starts the service."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ModelUnavailable(ModelError):
    """Nothing is found under the reference: no such file, no such tag, or the hub cannot be reached."""


class UnsupportedModel(ModelError):
    """The checkpoint exists, but it is for another task, or of a kind that is not served here."""


class BadManifest(ModelError):
    """`bonafide.json` is missing, cannot be read, or does not fit its ONNX file; the message names the field."""


class CheckpointMismatch(ModelError):
    """The weights do not fill the architecture: keys are missing, unexpected, or of another shape."""


class AmbiguousLabels(ModelError):
    """The class that means spoof cannot be determined; the message names the setting that decides it."""


class NotConverted(ModelError):
    """The checkpoint would have to be converted first, and torch, which does it, is not installed here."""


class EngineUnavailable(ModelError):
    """The requested engine or precision is not available on this machine."""


class InferenceFailed(ModelError):
    """The engine failed on items that are well formed, each of them alone too: the engine is broken, not the items."""


class NoMemory(ModelError):
    """There is not enough memory for a second model beside the one that serves."""


class ModelBusy(ModelError):
    """A model cannot be replaced now, but later."""
