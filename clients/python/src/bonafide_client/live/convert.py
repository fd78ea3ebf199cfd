"""From the service's frames to results. What could turn a verdict into its opposite is refused here."""

import json
import math
from typing import Any, cast

from ..errors import NEWER_OR_NONE, Internal
from ..results import Decision, ModelIdentity, Stretch
from .results import JudgedWindow, LiveChannel, LiveLabel, LiveSummary, LiveWindow


def message(frame: str | bytes) -> dict[str, Any]:
    """A frame's JSON object.

    Raises:
        Internal: it is none, or does not say its type.
    """
    try:
        found = json.loads(frame)
        if isinstance(found["type"], str):
            return cast(dict[str, Any], found)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise Internal("the service sent a frame that is no message of a Bonafide service")


def error_fields(message: dict[str, Any]) -> tuple[str, str, str]:
    """Code, message and request id of an `error`."""
    return str(message.get("code", "")), str(message.get("message", "")), str(message.get("request_id", ""))


def overlap_s(message: dict[str, Any]) -> float:
    """What neighbouring windows share, from a `config_updated`. Raises Internal when it is not said."""
    try:
        return _time(message["config"]["overlap_duration"])
    except (LookupError, TypeError, ValueError) as error:
        raise _nonsense("a configuration", error) from error


def windows(message: dict[str, Any], before: int, start_s: float) -> tuple[LiveWindow, ...]:
    """The windows of a `detection_result`.

    Args:
        message: the frame.
        before: windows of earlier connections, which the service does not know of.
        start_s: where this connection's audio begins in the stream.

    Raises:
        Internal: a label or a score that no Bonafide service gives.
    """
    try:
        found = tuple(
            LiveWindow(
                **_place(window, before, start_s),
                running_label=_label(window["running"]["label"]),
                running_score=_score(window["running"]["p_spoof"]),
            )
            for window in message["windows"]
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _nonsense("a result", error) from error
    if not found:
        raise Internal("the service sent a result without a window")
    return found


def last_of_worst(message: dict[str, Any], found: tuple[LiveWindow, ...], before: int) -> LiveWindow:
    """The window that a `detection_result` with these windows shows as its `result`: the last, of the worst channel."""
    result = message.get("result")
    if isinstance(result, dict):
        for window in reversed(found):
            if (window.sequence - before, window.channel) == (result.get("sequence"), result.get("channel", "")):
                return window
    return found[-1]


def summary(message: dict[str, Any], before: int, start_s: float) -> LiveSummary:
    """The summary of this connection's audio; arguments and errors as for `windows`."""
    try:
        model = message["model"]
        return LiveSummary(
            label=_label(message["label"]),
            score=_score(message["p_spoof"]),
            threshold=float(message["threshold"]),
            windows=tuple(JudgedWindow(**_place(window, before, start_s)) for window in message["windows"]),
            suspicious=_stretches(message, start_s),
            audio_seconds=start_s + _time(message["audio_seconds"]),
            judged_seconds=float(message["judged_seconds"]),
            speech_seconds=float(message["speech_seconds"]),
            model=ModelIdentity(model["name"], model["version"], model["demo"]),
            calibrated=message["calibrated"],
            request_id=message["request_id"],
            warnings=tuple(map(str, message.get("warnings", ()))),
            member_scores=_member_scores(message),
            evidence=str(message.get("evidence", "")),
            decision=_decision(message.get("decision")),
            llr=_number(message.get("llr")),
            partially_spoofed=bool(message.get("partially_spoofed", False)),
            conditions=tuple(map(str, message.get("conditions", ()))),
            channel=str(message.get("channel", "")),
            channels=tuple(_channel(channel, before, start_s) for channel in message.get("channels", ())),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _nonsense("a summary", error) from error


def _channel(message: dict[str, Any], before: int, start_s: float) -> LiveChannel:
    return LiveChannel(
        number=int(message["number"]),
        name=str(message["name"]),
        label=_label(message["label"]),
        score=_score(message["p_spoof"]),
        windows=tuple(JudgedWindow(**_place(window, before, start_s)) for window in message["windows"]),
        suspicious=_stretches(message, start_s),
        speech_seconds=float(message["speech_seconds"]),
        member_scores=_member_scores(message),
        decision=_decision(message.get("decision")),
        llr=_number(message.get("llr")),
        partially_spoofed=bool(message.get("partially_spoofed", False)),
        conditions=tuple(map(str, message.get("conditions", ()))),
    )


def _stretches(message: dict[str, Any], start_s: float) -> tuple[Stretch, ...]:
    return tuple(
        Stretch(
            start_s + _time(stretch["start_time_seconds"]),
            start_s + _time(stretch["end_time_seconds"]),
            _probability(stretch["p_spoof"]),
        )
        for stretch in message["suspicious"]
    )


def _place(window: dict[str, Any], before: int, start_s: float) -> dict[str, Any]:
    return {
        "sequence": before + window["sequence"],
        "start_s": start_s + _time(window["start_time_seconds"]),
        "end_s": start_s + _time(window["end_time_seconds"]),
        "label": _label(window["label"]),
        "score": _score(window["p_spoof"]),
        "speech_ratio": float(window["speech_ratio"]),
        "member_scores": _member_scores(window),
        "llr": _number(window.get("llr")),
        "channel": str(window.get("channel", "")),
    }


def _member_scores(message: dict[str, Any]) -> dict[str, float]:
    """Of an ensemble; a single model has none."""
    scores = {str(name): _score(score) for name, score in message.get("member_scores", {}).items()}
    return {name: score for name, score in scores.items() if score is not None}


def _label(label: object) -> LiveLabel:
    if label in ("spoof", "bonafide", "no_speech"):
        return label
    raise ValueError(f"label {label!r}")


def _decision(decision: object) -> Decision | None:
    if decision is None or decision in ("bonafide", "spoof", "uncertain"):
        return decision
    raise ValueError(f"decision {decision!r}")


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    raise ValueError(f"number {value!r}")


def _time(value: object) -> float:
    if isinstance(value, (int, float)) and 0 <= value < math.inf:
        return float(value)
    raise ValueError(f"time {value!r}")


def _score(score: object) -> float | None:
    if score is None:
        return None
    if isinstance(score, (int, float)) and 0 <= score <= 1:
        return float(score)
    raise ValueError(f"score {score!r}")


def _probability(value: object) -> float:
    if (score := _score(value)) is None:
        raise ValueError("no score")
    return score


def _nonsense(what: str, why: Exception) -> Internal:
    return Internal(f"the service sent {what} that cannot be understood ({why!r}): {NEWER_OR_NONE}")
