"""From the scores of an object to its rows, by the service's own use cases.

`VoiceAnalysis` and `FaceJudgement` ask a decoder and a runner; here both answer from memory. So a verdict is made in
one place, and a scan has no rule of its own.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.reader import AudioLimits, Window
from bonafide.byte_budget import ByteBudget
from bonafide.cache.cache import Cache
from bonafide.cache.circuit_breaker import CircuitBreaker, GuardedStore
from bonafide.cache.codec import Codec
from bonafide.cache.seal import seal_of
from bonafide.calls import Call
from bonafide.decoders.recordings import WindowStream
from bonafide.errors import BonafideError
from bonafide.face import FaceJudgement
from bonafide.photo.faces import Face
from bonafide.photo.preparation import Photo
from bonafide.photo.quality import Reason
from bonafide.runner.remote import RunnerResult
from bonafide.runner.runner import Runner
from bonafide.settings import Settings
from bonafide.verdict import PhotoScore, WindowScore, WindowVerdict
from bonafide.voice import VoiceAnalysis
from bonafide.voice_report import VoiceRules, report_of
from models.info import ModelInfo
from scan.items import Whole

_CALL_S = 3600.0
_FIRST_S, _LAST_S = (
    datetime(1, 1, 1, tzinfo=UTC).timestamp(),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp(),
)
_AT_ONCE = 1 << 20
"""Windows of one request: everything is there already."""


class Rows(NamedTuple):
    """The rows of one object, see `scan.schema`, without what is common to a pass."""

    recording: dict[str, Any]
    windows: list[dict[str, Any]]


@dataclass(frozen=True)
class ScoredItem:
    """A window or photo that was scored: what is known of it, and the numbers of the model."""

    about: Mapping[str, Any]
    judged: Any


class _Nobody:
    """Observes nothing."""

    def chunks(self, *, scored: int, cached: int) -> None:
        """See `VoiceObserver`."""

    def batch(self, runner: str, items: int, total_s: float, inference_s: float, batch_size: int) -> None:
        """See `RunnerObserver`."""

    def calls(self, runner: str, active: int) -> None:
        """See `RunnerObserver`."""

    def replicas(self, runner: str, serving: int) -> None:
        """See `RunnerObserver`."""


class _Replay:
    """Decoder and runner of the object whose items it holds: an array is the number of its item."""

    replicas = 1

    def __init__(self, info: ModelInfo) -> None:
        self._info = replace(info, max_batch_size=_AT_ONCE)
        self._items: Sequence[ScoredItem] = ()
        self._left = False
        self.seconds = 0.0
        self.warnings: list[str] = []
        self.conditions: tuple[str, ...] = ()
        self.channel_conditions: dict[int, tuple[str, ...]] = {}

    def begin(self, items: Sequence[ScoredItem], state: Mapping[str, Any]) -> None:
        self._items, self._left = items, bool(items)
        self.seconds, self.warnings = state.get("seconds", 0.0), state.get("warnings", [])
        self.conditions = tuple(state.get("conditions", ()))
        # JSON has no numbers for keys.
        by_channel = state.get("channel_conditions", {}).items()
        self.channel_conditions = {int(channel): tuple(names) for channel, names in by_channel}

    @asynccontextmanager
    async def open(self, *_: Any, **__: Any) -> AsyncIterator[WindowStream]:
        yield self

    async def next_windows(self) -> list[Window] | None:
        if not self._left:
            return None
        self._left = False
        return [Window(**item.about, pcm=_number(index)) for index, item in enumerate(self._items)]

    async def read(self, *_: Any) -> Photo:
        about = self._items[0].about
        reason = None if about["reason"] is None else Reason(about["reason"])
        return Photo(_number(0), reason, tuple(Face(**face) for face in about["faces"]))

    async def info(self) -> dict[str, Any]:
        return self._info.to_dict()

    async def score(self, items: list[NDArray[Any]]) -> list[RunnerResult]:
        numbers = [self._items[int(item[0])].judged for item in items]
        return [RunnerResult(each, 0.0, len(items), self._info.fingerprint) for each in numbers]

    score_previous = score

    async def replace(self, reference: str, spoof_label: str | None) -> int:
        raise AssertionError("a scan has one model")

    async def close(self) -> None:
        """Nothing is open."""


class _NoStore:
    """A cache that holds nothing."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [None for _ in keys]

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Keeps nothing."""

    async def close(self) -> None:
        """Nothing is open."""


class Verdicts:
    """Makes the rows of scored objects, one after the other.

    Args:
        settings: of the service.
        info: the model that scored.
    """

    def __init__(self, settings: Settings, info: ModelInfo) -> None:
        self._info = info
        self._replay = _Replay(info)
        remote: Any = self._replay
        read: Any = WindowScore.of if info.task == "voice" else PhotoScore.of
        self._runner: Runner[Any] = Runner(info.task, remote, read=read, max_calls=1, observer=_Nobody())
        breaker = CircuitBreaker(60.0)
        self._voice = VoiceAnalysis(
            runner=self._runner,
            store=cast(Any, None),  # objects come as bytes
            cache=Cache(GuardedStore(_NoStore(), breaker), Codec(seal_of("")), timeout_s=60.0, keep_windows=False),
            budget=ByteBudget(1),
            pool=ThreadPoolExecutor(1),
            decoder=cast(Any, self._replay),
            limits=AudioLimits.from_settings(settings),
            rules=VoiceRules.from_settings(settings),
            observer=_Nobody(),
        )
        self._face = FaceJudgement(
            runner=self._runner,
            photos=cast(Any, self._replay),
            threshold=settings.face_threshold,
            band=settings.face_uncertain,
        )

    async def rows(self, whole: Whole, items: Sequence[ScoredItem]) -> Rows:
        """The rows of an object; of one that could not be judged, the row with its error."""
        entry, info = whole.entry, self._info
        row: dict[str, Any] = {
            "key": entry.key,
            "etag": entry.etag,
            "size": entry.size,
            "modified": _time(entry.modified),
            "content_id": whole.content_id,
            "task": info.task,
            "codec": whole.codec,
            "sample_rate": whole.sample_rate,
            "model_name": info.name,
            "model_version": info.version,
            "model_fingerprint": info.fingerprint,
            "engine": info.engine,
            "device": info.device,
            "precision": info.precision,
            "demo": info.demo,
            "error_code": whole.error_code,
            "error_message": whole.error_message,
            "scanned_at": datetime.now(UTC),
        }
        if whole.error_code is not None:
            return Rows(row, [])
        if not self._runner.ready:
            await self._runner.probe()
        self._replay.begin(items, whole.state or {})
        try:
            judged = await (self._of_voice(row) if info.task == "voice" else self._of_photo())
        except BonafideError as error:
            return Rows({**row, "error_code": error.code.value, "error_message": error.message}, [])
        return Rows({**row, **judged.recording}, judged.windows)

    async def _of_voice(self, row: Mapping[str, Any]) -> Rows:
        report = await report_of(self._voice.analyze_bytes(b"-", Call.within(_CALL_S)))
        found: list[tuple[str | None, Sequence[WindowVerdict]]] = [
            (each.name, each.windows) for each in report.channels
        ]
        windows = [
            {
                "key": row["key"],
                "etag": row["etag"],
                "channel": channel,
                "index": each.index,
                "start": each.start_s,
                "end": each.end_s,
                "score": each.score,
                "label": each.label,
                "speech_ratio": each.speech_ratio,
                "llr": each.llr,
                "member_scores": dict(each.member_scores),
            }
            for channel, chunks in found or [(None, report.chunks)]
            for each in chunks
        ]
        recording = {
            "seconds": report.audio_seconds,
            "speech_seconds": report.speech_seconds,
            "channel": report.channel or None,
            "label": report.label,
            "score": report.score,
            "threshold": report.threshold,
            "decision": report.answer.decision,
            "llr": report.answer.llr,
            "partially_spoofed": report.answer.partially_spoofed,
            "conditions": list(report.answer.conditions),
            "warnings": list(report.warnings),
            "suspicious": [{"start": s.start_s, "end": s.end_s, "score": s.score} for s in report.suspicious],
            "member_scores": dict(report.member_scores),
            "calibrated": report.model.calibrated,
            "windows": len(windows),
            "error_message": report.error_message or None,
        }
        return Rows(recording, windows)

    async def _of_photo(self) -> Rows:
        report = await self._face.judge(b"-", Call.within(_CALL_S))
        recording = {
            "label": report.label,
            "score": report.fake,
            "threshold": report.threshold,
            "decision": report.answer.decision,
            "llr": report.answer.llr,
            "member_scores": dict(report.member_scores),
            "calibrated": report.model.calibrated,
            "reason": report.reason,
            "faces": len(report.faces),
            "windows": 0,
        }
        return Rows(recording, [])


def scored_item(about: str, judged: str) -> ScoredItem:
    """Reads a row of `scan.items.SCORED`."""
    return ScoredItem(json.loads(about), json.loads(judged))


def _time(seconds: float) -> datetime:
    """A time since 1970; the first or the last that `datetime` has of one beyond, which file systems may hold."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST_S), _LAST_S), UTC)


def _number(index: int) -> NDArray[Any]:
    return np.array([index], np.int64)
