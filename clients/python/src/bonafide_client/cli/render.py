"""Results for eyes: tables, bars and verdicts as rich renderables; knows nothing of calls."""

from collections.abc import Iterable, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..errors import BonafideError
from ..results import (
    AudioReport,
    ChannelVerdict,
    ChunkScore,
    FaceReport,
    MemberModel,
    ModelIdentity,
    ModelStatus,
    Stretch,
)
from .outcome import error_fields

_BAR_CELLS = 20
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STYLES = {"spoof": "bold red", "fake": "bold red", "bonafide": "green", "live": "green", "no_speech": "yellow"}
_NAMES = {"spoof": "SPOOF", "fake": "FAKE", "bonafide": "BONA FIDE", "live": "LIVE", "no_speech": "NO SPEECH"}


def audio(name: str, report: AudioReport, *, table: bool, blocks: bool) -> Group:
    """A recording's verdict, below the table of its chunks. `blocks`: bars may use Unicode blocks."""
    lines: list[Table | Text] = []
    if table:
        lines.append(Text(printable(name), "bold"))
        for channel in report.channels:
            lines += [Text(f"channel {printable(channel.name)}", "bold"), _chunks(channel.chunks, blocks)]
        if not report.channels:
            lines.append(_chunks(report.chunks, blocks))
    lines += [_channel(channel) for channel in report.channels]
    lines.append(
        Text.assemble(
            _verdict(report.label),
            "  ",
            _findings(report),
            f", channel {printable(report.channel)}" if report.channel else "",
            _demo(report.model),
            "" if table else f"  {printable(name)}",
        )
    )
    if report.member_scores:
        lines.append(_members(report.member_scores))
    lines += weighed(report.decision, report.llr)
    lines += spoofed_parts(report.partially_spoofed, report.suspicious)
    lines += [Text(f"warning: {printable(warning)}", "yellow") for warning in report.warnings]
    lines += weakened(report.conditions)
    if report.error_message and report.score is not None:
        lines.append(Text(f"not all of it was judged: {printable(report.error_message)}", "bold yellow"))
    return Group(*lines)


def face(name: str, report: FaceReport, *, blocks: bool) -> Text:
    """A photo's verdict, in a line; another one for the members of an ensemble."""
    verdict = Text.assemble(
        _verdict(report.label),
        f"  P(fake) {report.score:.3f} ",
        (bar(report.score, blocks), _STYLES[report.label]),
        f" threshold {report.threshold:.3f}",
        (f" ({printable(report.reason)})" if report.reason else "", "yellow"),
        _demo(report.model),
        f"  {printable(name)}",
    )
    members = [_members(report.member_scores)] if report.member_scores else []
    return Text("\n").join([verdict, *members, *weighed(report.decision, report.llr)])


def error(name: str, problem: BonafideError | OSError) -> Text:
    """Why a file was not judged, in a line."""
    code, message, request_id = error_fields(problem)
    told = f" (request {printable(request_id)})" if request_id else ""
    return Text.assemble((f"{printable(name)}: {code}", "bold red"), f": {printable(message)}{told}")


def model(identity: ModelIdentity) -> Text:
    """Which model spoke, and loudly whether it is a demonstration."""
    line = Text(f"model {printable(identity.name)} {printable(identity.version)}", "dim")
    if identity.demo:
        line.append("\nDEMONSTRATION MODEL: small, ships with the service; do not decide by it", "not dim bold yellow")
    return line


def status(address: str, health: str, voice: ModelStatus, face: ModelStatus, *, table: bool) -> Group:
    """The service's health, above the table of its two models."""
    headline = Text.assemble(f"{printable(address)} is ", (health, "green" if health == "SERVING" else "bold red"))
    if not table:
        return Group(headline)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("", "voice", "face"):
        grid.add_column(column, overflow="fold")
    for title, field in (
        ("status", "status"),
        ("type", "model_type"),
        ("engine", "engine"),
        ("device", "device"),
        ("precision", "precision"),
        ("threshold", "threshold"),
        ("calibrated", "calibrated"),
        ("files", "local_path"),
    ):
        grid.add_row(title, *(Text(printable(str(getattr(one, field)))) for one in (voice, face)))
    members = [_member_model(member) for one in (voice, face) for member in one.members]
    return Group(headline, grid, model(voice.model), model(face.model), *members)


def bar(score: float, blocks: bool) -> str:
    """A bar of fixed width: `score` 0 is empty, 1 is full."""
    if not blocks:
        return ("#" * round(score * _BAR_CELLS)).ljust(_BAR_CELLS, ".")
    full, rest = divmod(round(score * _BAR_CELLS * 8), 8)
    return ("█" * full + _EIGHTHS[rest] * (rest > 0)).ljust(_BAR_CELLS)


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths, as in 2:05.5."""
    minutes, tenths = divmod(round(seconds * 10), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def printable(text: str) -> str:
    """The text without what could steer a terminal: names of files and of objects are not ours."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def weighed(decision: str | None, llr: float | None) -> list[Text]:
    """The decision and the evidence, in a line; none where the service tells neither."""
    told = [f"decision: {printable(decision)}"] if decision else []
    if llr is not None:
        told.append(f"log likelihood ratio {llr:+.2f}")
    return [Text(", ".join(told), "bold yellow" if decision == "uncertain" else "dim")] if told else []


def spoofed_parts(partially: bool, suspicious: Iterable[Stretch]) -> list[Text]:
    """That only a part is spoofed, in a line, and one for each suspicious stretch."""
    lines = [f"suspicious: {_place(stretch)}, score {stretch.score:.3f}" for stretch in suspicious]
    if partially:
        lines.insert(0, "partially spoofed: bona fide by its mean, but not everywhere")
    return [Text(line, _STYLES["spoof"]) for line in lines]


def parts_of_channel(partially: bool, suspicious: Iterable[Stretch]) -> str:
    """The same behind the verdict on one of several channels, in a few words; empty unless only a part is spoofed."""
    return f"; partially spoofed: {', '.join(map(_place, suspicious))}" if partially else ""


def _place(stretch: Stretch) -> str:
    return f"{clock(stretch.start_s)} to {clock(stretch.end_s)}"


def weakened(conditions: Iterable[str]) -> list[Text]:
    """What weakens the verdict, in a line; none where nothing does."""
    names = ", ".join(map(printable, conditions))
    return [Text(f"conditions that weaken the verdict: {names}", "yellow")] if names else []


def _channel(verdict: ChannelVerdict) -> Text:
    score = "not judged" if verdict.score is None else f"score {verdict.score:.3f}"
    speech = f"{clock(verdict.speech_seconds)} of speech"
    said = f"channel {printable(verdict.name)}: {verdict.label}, {score}, {speech}"
    weak = f"; {', '.join(map(printable, verdict.conditions))}" if verdict.conditions else ""
    parts = parts_of_channel(verdict.partially_spoofed, verdict.suspicious)
    return Text(said + weak + parts, _STYLES["spoof" if parts else verdict.label])


def _members(scores: Mapping[str, float]) -> Text:
    return Text("members: " + ", ".join(f"{printable(name)} {score:.3f}" for name, score in scores.items()), "dim")


def _member_model(member: MemberModel) -> Text:
    named = f"member {printable(member.name)} {printable(member.version)}"
    return Text(f"{named}, weight {member.weight:g}, {member.engine} {member.device} {member.precision}", "dim")


def _chunks(chunks: Iterable[ChunkScore], blocks: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("from", justify="right", style="dim")
    table.add_column("to", justify="right", style="dim")
    table.add_column("score", justify="right")
    table.add_column("", width=_BAR_CELLS, no_wrap=True)
    table.add_column("speech", justify="right")
    table.add_column("label")
    for chunk in chunks:
        style = _STYLES[chunk.label]
        table.add_row(
            clock(chunk.start_s),
            clock(chunk.end_s),
            "-" if chunk.score is None else f"{chunk.score:.3f}",
            "" if chunk.score is None else Text(bar(chunk.score, blocks), style),
            f"{100 * chunk.speech_ratio:.0f} %",
            Text(chunk.label, style),
        )
    return table


def _findings(report: AudioReport) -> str:
    if report.score is None:
        return f"{printable(report.error_message) or 'not judged'}, {clock(report.audio_seconds)}"
    spoofed = sum(chunk.label == "spoof" for chunk in report.chunks)
    judged = sum(chunk.score is not None for chunk in report.chunks)
    return (
        f"score {report.score:.3f}, threshold {report.threshold:.3f}; {spoofed} of {judged} chunks spoof, "
        f"{clock(report.audio_seconds)}"
    )


def _verdict(label: str) -> tuple[str, str]:
    return _NAMES[label].ljust(9), _STYLES[label]


def _demo(identity: ModelIdentity) -> tuple[str, str]:
    return (" (demo model)", "yellow") if identity.demo else ("", "")
