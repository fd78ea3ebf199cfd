"""What became of one file, and what a whole run comes to."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import BonafideError, DeadlineExceeded, Internal, Overloaded, Unauthenticated, Unavailable
from ..results import AudioReport, FaceReport

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
            case AudioReport(label="spoof") | FaceReport(label="fake"):
                return SPOOF
            case AudioReport(decision="uncertain") | FaceReport(decision="uncertain"):
                return UNJUDGED
            case AudioReport(label="bonafide", error_message=""):
                return GENUINE
            case FaceReport(label="live", reason=""):
                return GENUINE
            case Unavailable() | Overloaded() | DeadlineExceeded() | Unauthenticated() | Internal():
                return UNANSWERED
            case _:  # bad input, a file that is not there, a verdict that lacks some chunks, or one not to rely on
                return UNJUDGED


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """The exit code of a run; a finding is never hidden by another file's error."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next(code for code in _PRECEDENCE if code in codes)


def error_fields(error: BonafideError | OSError) -> tuple[str, str, str]:
    """Code, message and request id of an error; `file_error` when a local file cannot be read."""
    if isinstance(error, BonafideError):
        return error.code, error.message, error.request_id
    return "file_error", error.strerror or str(error), ""
