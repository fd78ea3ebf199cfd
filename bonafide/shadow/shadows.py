"""The second models of one service process, built once from the settings and closed once."""

from typing import Any, Protocol

from bonafide.audio.reader import window_weight
from bonafide.decoders.photos import ProcessPhotos
from bonafide.decoders.pool import DecoderPool
from bonafide.photo.rules import PhotoRules
from bonafide.runner.remote import Remote
from bonafide.runner.runner import Runner, RunnerObserver, watch
from bonafide.settings import Settings
from bonafide.shadow.comparisons import Comparisons, ShadowObserver
from bonafide.shadow.face import FaceShadow
from bonafide.shadow.voice import VoiceShadow
from bonafide.verdict import PhotoScore
from models.info import Task


class Observer(RunnerObserver, ShadowObserver, Protocol):
    """Receives measurements of both."""


class Shadows:
    """What scores in the shadow.

    Args:
        settings: of the service.
        voice: replicas of the second voice model; None: there is none.
        face: replicas of the second face model; None: there is none.
        observer: receives measurements.

    Attributes:
        voice: follows recordings and live sessions; None: nothing does.
        face: follows photos; None: nothing does.
        runners: that are to be probed, by the task of their model.
    """

    def __init__(self, settings: Settings, voice: Remote | None, face: Remote | None, observer: Observer) -> None:
        self.voice: VoiceShadow | None = None
        self.face: FaceShadow | None = None
        self.runners: dict[Task, Runner[float]] = {}
        self._comparisons: list[Comparisons] = []
        self._settings = settings
        self._observer = observer
        # Apart from those of callers, whose photos never wait for these.
        self._decoders = DecoderPool.from_settings(settings, slots=1)
        if voice is not None:
            self.voice = VoiceShadow(
                self._compared("voice", settings.voice_shadow_share),
                self._runner("voice", voice, read=float, weigh=window_weight),
                threshold=settings.voice_threshold,
                timeout_s=settings.call_timeout_s,
            )
        if face is not None:
            self.face = FaceShadow(
                self._compared("face", settings.face_shadow_share),
                self._runner("face", face, read=lambda numbers: PhotoScore.of(numbers).fake),
                ProcessPhotos(self._decoders, PhotoRules.from_settings(settings)),
                threshold=settings.face_threshold,
                timeout_s=settings.call_timeout_s,
            )

    def _compared(self, task: Task, share: float) -> Comparisons:
        comparisons = Comparisons(
            task,
            share=share,
            max_bytes=self._settings.shadow_max_bytes,
            timeout_s=self._settings.call_timeout_s,
            observer=self._observer,
        )
        self._comparisons.append(comparisons)
        return comparisons

    def _runner(self, task: Task, remote: Remote, **options: Any) -> Runner[float]:
        runner = Runner[float](f"{task}_shadow", remote, max_calls=1, observer=self._observer, **options)
        self.runners[task] = runner
        return runner

    async def watch(self) -> None:
        """Probes the runners until cancelled."""
        if self.runners:
            await watch(list(self.runners.values()), _nothing)

    async def close(self) -> None:
        """Drops the comparisons that wait, and closes connections and decoding processes."""
        for comparisons in self._comparisons:
            await comparisons.close()
        for runner in self.runners.values():
            await runner.close()
        self._decoders.close()


async def _nothing() -> None:
    """Nothing is reported: the health of the service is not that of its shadows."""
