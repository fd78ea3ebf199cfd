"""The samples as bodies of requests: real speech and real faces, each copy marked with a serial number.

So that speech and faces are found, which noise would spare a service.
"""

from functools import cache

from benchmarks.inputs import stamped_jpeg, stamped_wav, wav_file
from bonafide.audio.reader import WINDOW_SAMPLES, AudioLimits, AudioReader
from bonafide.settings import Settings
from models.info import Task
from scripts.local_service import ROOT

CONTENT_TYPE: dict[Task, str] = {"voice": "audio/wav", "face": "image/jpeg"}
_SAMPLES = ROOT / "samples"
_VOICES = ("call.mp3", "call_spoof.mp3")
_FACES = ("face.jpg", "face_spoof.jpg")


def body(task: Task, number: int) -> bytes:
    """A WAV file of 4 s at 16 kHz or a JPEG photo; every number gives other bytes."""
    if task == "voice":
        windows = _windows()
        return stamped_wav(windows[number % len(windows)], number)
    return stamped_jpeg(_face(_FACES[number % len(_FACES)]), number)


def different(task: Task) -> int:
    """How many bodies differ by more than their number: the first so many numbers."""
    return len(_windows()) if task == "voice" else len(_FACES)


@cache
def _windows() -> tuple[bytes, ...]:
    """The full windows of the recordings."""
    limits = AudioLimits.from_settings(Settings())
    found = []
    for name in _VOICES:
        with AudioReader((_SAMPLES / name).read_bytes(), limits) as reader:
            pcms = [window.pcm for windows in reader for window in windows]
        found += [wav_file(pcm) for pcm in pcms if len(pcm) == WINDOW_SAMPLES]
    return tuple(found)


@cache
def _face(name: str) -> bytes:
    return (_SAMPLES / name).read_bytes()
