"""Live windows and their summary for eyes; knows nothing of calls."""

from rich.text import Text

from ..live import LiveSummary, LiveWindow
from ..live.results import LiveChannel
from .render import bar, clock, parts_of_channel, printable, spoofed_parts, weakened, weighed

_STYLES = {"spoof": "red", "bonafide": "green", "no_speech": "dim"}
_NAMES = {"spoof": "SPOOF", "bonafide": "BONA FIDE", "no_speech": "NO SPEECH"}


def window(window: LiveWindow, *, blocks: bool) -> Text:
    """One window and the verdict so far, in a line. `blocks`: the bar may use Unicode blocks."""
    style = _STYLES[window.label]
    return Text.assemble(
        (f"{clock(window.start_s):>8}  {clock(window.end_s):>8}  ", "dim"),
        (f"{_number(window.score)}  {bar(window.score or 0.0, blocks)}  {window.label:<9}", style),
        ("  so far ", "dim"),
        (f"{window.running_label} {_number(window.running_score)}", _STYLES[window.running_label]),
        (f"  channel {printable(window.channel)}" if window.channel else "", "dim"),
    )


def summary(name: str, summary: LiveSummary) -> Text:
    """The verdict on all of it, in a line, and one for each channel, the members, spoofed parts and each warning."""
    verdict = Text.assemble(
        (f"{_NAMES[summary.label]:<9}", f"bold {_STYLES[summary.label]}"),
        f"  score {_number(summary.score)}, threshold {summary.threshold:.3f}; ",
        f"judged {summary.judged_seconds:.1f} of {summary.audio_seconds:.1f} s, speech {summary.speech_seconds:.1f} s",
        f", channel {printable(summary.channel)}" if summary.channel else "",
        (" (demo model)", "yellow") if summary.model.demo else "",
        f"  {printable(name)}",
    )
    scores = ", ".join(f"{printable(name)} {score:.3f}" for name, score in summary.member_scores.items())
    members = [Text(f"members: {scores}", "dim")] if scores else []
    warnings = [Text(f"warning: {printable(warning)}", "yellow") for warning in summary.warnings]
    weight = weighed(summary.decision, summary.llr)
    parts = spoofed_parts(summary.partially_spoofed, summary.suspicious)
    channels = [_channel(channel) for channel in summary.channels]
    told = [*channels, verdict, *members, *weight, *parts, *warnings, *weakened(summary.conditions)]
    if summary.undecided:
        told.append(
            Text("decision: none, as the connection broke and the service knows its last part alone", "bold yellow")
        )
    if missing_s := summary.unjudged_seconds:
        told.append(Text(f"not all of it was judged: {missing_s:.1f} s have no verdict", "bold yellow"))
    return Text("\n").join(told)


def _channel(verdict: LiveChannel) -> Text:
    parts = parts_of_channel(verdict.partially_spoofed, verdict.suspicious)
    said = f"channel {printable(verdict.name)}: {verdict.label}, score {_number(verdict.score)}"
    return Text(said + parts, _STYLES["spoof" if parts else verdict.label])


def _number(score: float | None) -> str:
    return "  -  " if score is None else f"{score:.3f}"
