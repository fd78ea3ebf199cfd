"""The tiny checkpoints and folders of tests/models, for the lab's tests too."""

from tests.models.conftest import audible_log, one_thread, own_models_folder, tiny_face, tiny_voice, workspace

__all__ = ["audible_log", "one_thread", "own_models_folder", "tiny_face", "tiny_voice", "workspace"]
