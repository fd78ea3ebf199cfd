"""What can go wrong between a model reference and a ready engine. Every message tells the operator the way out."""


class ModelError(Exception):
    """Base of all errors of `models`; the message is for the person who starts the service."""


class ModelUnavailable(ModelError):
    """The reference names nothing that can be had: no such file, no such tag, or the hub cannot be reached."""


class UnsupportedModel(ModelError):
    """The checkpoint exists, but it is for another task, or of a kind that is not served here."""


class CheckpointMismatch(ModelError):
    """The weights do not fill the architecture: keys are missing, unexpected, or of another shape."""


class AmbiguousLabels(ModelError):
    """It cannot be told which class means spoof; the message names the setting that decides it."""


class EngineUnavailable(ModelError):
    """The engine or precision that was asked for does not exist on this machine."""


class InferenceFailed(ModelError):
    """The engine failed on items that are well formed, each of them alone too: it is broken, not they."""
