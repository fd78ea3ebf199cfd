"""`bonafide verify`: a file and its record, offline; scored again only when asked to."""

import sys
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..aio import AsyncBonafideClient
from ..errors import BonafideError
from ..results import AudioReport, FaceReport
from ..threads import in_thread
from . import documents
from .options import USAGE, Options, VerifyOptions
from .outcome import GENUINE, UNANSWERED, UNJUDGED, Outcome
from .printer import Printer
from .render import printable

if TYPE_CHECKING:
    from ..evidence import Chain, PublicKeys, Record
    from ..evidence.difference import Difference

REFUSED, DIFFERENT = 1, 5


async def verify(options: Options, wanted: VerifyOptions) -> int:
    """Verifies signature, file and log, then asks the service if that is wanted. Returns the exit code."""
    out, err = Printer(sys.stdout), Printer(sys.stderr)
    try:
        from ..evidence import EvidenceError, PublicKeys
    except ImportError:
        err.print(Text("bonafide: error: verify needs cryptography: pip install 'bonafide-client[evidence]'"))
        return USAGE
    try:
        keys = await in_thread(PublicKeys.read, wanted.keys)
    except (OSError, ValueError) as error:
        err.print(Text(f"bonafide: error: {printable(str(error))}"))
        return USAGE
    try:
        record, chains = await in_thread(_verified, wanted, keys)  # a file may be large, a pipe silent
    except EvidenceError as error:
        if options.json:
            out.document({"file": str(wanted.file), "verified": False, "refused": str(error)})
        err.print(Text.assemble(("refused ", "bold red"), printable(str(error))))
        return REFUSED
    except OSError as error:
        err.print(Text(f"bonafide: error: {printable(str(error))}"))
        return UNJUDGED
    for chain in chains:
        if chain.cut_bytes:
            text = (
                f"chain {chain.name} ends with {chain.cut_bytes} bytes of a record that is not complete: it is being "
            )
            end = "written, or was cut off, by a loss of power or by somebody"
            err.print(Text.assemble(("warning ", "bold yellow"), printable(text + end)))
    document: dict[str, Any] = {"file": str(wanted.file), "verified": True, "record": dict(record.payload)}
    if wanted.log is not None:
        document["log"] = [vars(chain) for chain in chains]
    code = GENUINE
    if wanted.rescore:
        code, again = await _scored_again(options, wanted, record)
        document["again"] = again
    if options.json:
        out.document(document)
    else:
        _show(out, document, options.quiet)
    return code


def _verified(wanted: VerifyOptions, keys: "PublicKeys") -> "tuple[Record, list[Chain]]":
    from ..evidence import digest_of_file, verify_log, verify_record

    record = verify_record(wanted.record.read_bytes(), keys)
    record.require_media(digest_of_file(wanted.file))
    return record, [] if wanted.log is None else verify_log(wanted.log, keys, record.text)


async def _scored_again(options: Options, wanted: VerifyOptions, record: "Record") -> tuple[int, dict[str, Any]]:
    """The exit code, and what to say of the new verdict."""
    from ..evidence.difference import difference

    if record.payload["source"] == "live":
        return DIFFERENT, {"error": {"code": "invalid_request", "message": "live audio cannot be scored again"}}
    try:
        client = AsyncBonafideClient(
            options.address, api_key=options.api_key, tls=options.tls, key_in_clear=options.key_in_clear
        )
    except (OSError, ValueError) as error:
        return USAGE, {"error": {"code": "invalid_request", "message": str(error)}}
    try:
        async with client:
            again: AudioReport | FaceReport
            if record.payload["task"] == "face":
                again = await client.predict_liveness(wanted.file, timeout_s=options.timeout_s)
            else:
                hop_s = record.payload.get("hop_seconds")
                # Records of releases that averaged channels name no choice.
                mode = record.payload.get("channel_mode", "mix")
                again = await client.analyze_file(
                    wanted.file, hop_s=hop_s, channel_mode=mode, timeout_s=options.timeout_s
                )
            found = difference(record, again)
    except OSError as error:
        return UNJUDGED, documents.error_document(error)
    except BonafideError as error:
        unanswered = Outcome(str(wanted.file), None, error).exit_code == UNANSWERED
        return (UNANSWERED if unanswered else DIFFERENT), documents.error_document(error)
    return (GENUINE if found.within(wanted.tolerance) else DIFFERENT), _document(found)


def _document(found: "Difference") -> dict[str, Any]:
    return {
        "same_model": found.same_model,
        "label": found.labels[1],
        "score": found.scores[1],
        "largest_difference": found.largest,
    }


def _show(out: Printer, document: dict[str, Any], quiet: bool) -> None:
    record = document["record"]
    model = record["model"]
    out.print(
        Text.assemble(
            ("verified ", "bold green"), printable(f"{document['file']}: {record['label']}, score {record['score']}")
        )
    )
    if not quiet:
        threshold = f"threshold {record['threshold']:g}, {'' if model['demo'] is False else 'demo '}model"
        out.print(Text(printable(f"{record['time']}  request {record['request_id']}")))
        out.print(Text(printable(f"{threshold} {model['name']} {model['fingerprint']}")))
        for chain in document.get("log", ()):
            last = chain["first"] + chain["records"] - 1
            held = f"records {chain['first']} to {last}" if chain["records"] else "no complete record"
            out.print(Text(printable(f"log: chain {chain['name']}, {held}")))
    if (again := document.get("again")) is None:
        return
    if "error" in again:
        out.print(Text(printable(f"not scored again: {again['error']['message']}"), "red"))
        return
    largest = "windows differ" if (most := again["largest_difference"]) is None else f"at most {most:.6f} apart"
    other = "" if again["same_model"] else ", by another model"
    out.print(Text(printable(f"scored again: {again['label']}, score {again['score']}; {largest}{other}")))
