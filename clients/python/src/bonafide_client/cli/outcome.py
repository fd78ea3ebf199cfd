"""What became of one file, and what a whole run comes to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BonafideError, DeadlineExceeded, Internal, Overloaded, Unauthenticated, Unavailable
from ..results import AudioReport, FaceReport

if TYPE_CHECKING:
    from ..live.results import LiveSummary

GENUINE, SPOOF, UNJUDGED, UNANSWERED = 0, 1, 3, 4
_PRECEDENCE = (SPOOF, UNANSWERED, UNJUDGED, GENUINE)


@dataclass(frozen=True)
class Outcome:
    """A file (or a stored recording) and its report, or the error instead of it."""

    name: str
    bucket: str | None
    result: AudioReport | FaceReport | BonafideError | OSError

    @property
    def exit_code(self) -> int:
        """What the exit code would be if this were the only file."""
        match self.result:
            case AudioReport() as report:
                return of_voice(report)
            case FaceReport(label="fake") | FaceReport(decision="spoof"):
                return SPOOF
            case FaceReport(label="live", reason="", decision=None | "bonafide"):
                return GENUINE
            case Unavailable() | Overloaded() | DeadlineExceeded() | Unauthenticated() | Internal():
                return UNANSWERED
            case _:  # bad input, a file that is not there, or a verdict not to rely on
                return UNJUDGED


def of_voice(verdict: "AudioReport | LiveSummary") -> int:
    """The exit code of a voice: success only if nothing in the verdict speaks against it, in any channel.

    A partial spoof is no success: the mean that the label goes by hides a few spoofed seconds of a long recording. It
    is no finding either, as one suspicious stretch among many windows may be a wrong one.
    """
    if verdict.label == "spoof" or verdict.decision == "spoof":
        return SPOOF
    if isinstance(verdict, AudioReport):
        missing, undecided = bool(verdict.error_message), verdict.decision == "uncertain"
    else:
        missing, undecided = verdict.unjudged_seconds > 0, verdict.undecided or verdict.decision == "uncertain"
    partial = any(each.partially_spoofed for each in (verdict, *verdict.channels))
    return UNJUDGED if missing or undecided or partial or verdict.label == "no_speech" else GENUINE


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code of a run; a finding is never hidden by another file's error."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next(code for code in _PRECEDENCE if code in codes)


def error_fields(error: BonafideError | OSError) -> tuple[str, str, str]:
    """Code, message and request id of an error; `file_error` when a local file cannot be read."""
    if isinstance(error, BonafideError):
        return error.code, error.message, error.request_id
    return "file_error", error.strerror or str(error), ""
