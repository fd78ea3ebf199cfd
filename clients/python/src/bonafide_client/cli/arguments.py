"""The command line: from words to `Options`. Wrong words end the process with exit code 2."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..connection import AUDIO_TIMEOUT_S, DEFAULT_ADDRESS, FACE_TIMEOUT_S, STATUS_TIMEOUT_S, Tls
from ..job_results import JOB_TIMEOUT_S
from ..live.channel import DEFAULT_URL
from ..version import __version__

USAGE = 2
_EXIT_CODES = """\
exit codes, the first that applies:
  130  interrupted
    2  the command line is wrong; nothing was asked
    1  at least one spoof or fake was found, whatever became of the other files
    4  at least one file got no answer: service unreachable, overloaded, deadline
       passed, key refused, or a bug of the service; the same call may work later
    3  at least one file cannot be judged, or not all of it: unreadable, too large,
       not found, not allowed, a photo without one clear face, a decision that
       is uncertain
    0  every file is bona fide or live (status: both models are ready)
"""
_ENVIRONMENT = """\
environment:
  BONAFIDE_ADDRESS   host:port of the service, as --address
  BONAFIDE_LIVE_URL  WebSocket of the service, as --url of live
  BONAFIDE_EVIDENCE_KEYS  file of public keys, as --key of verify
  BONAFIDE_API_KEY   the API key itself; --api-key-file goes before it
  NO_COLOR           set to anything: no colours
"""
_AUDIO_EXAMPLES = """\
examples:
  bonafide audio call.mp3                         judge a recording
  bonafide audio *.wav --quiet                    only the verdicts
  bonafide audio --bucket calls 2024/a.wav        a recording that is stored already
  ffmpeg -i film.mkv -f wav - | bonafide audio -  from a pipe
  bonafide audio long.mp3 --hop 1                 where in it, in overlapping chunks
  bonafide audio call.wav --channel-mode separate  each channel for itself
  bonafide audio *.wav --json | jq -r 'select(.label == "spoof") | .file'
"""
_FACE_EXAMPLES = """\
examples:
  bonafide face face.jpg
  bonafide face *.jpg --json | jq -r 'select(.error) | .file'
  bonafide face selfie.png && echo welcome
"""
_LIVE_EXAMPLES = """\
examples:
  bonafide live call.mp3                          window by window, as fast as the service takes it
  bonafide live call.mp3 --realtime               as fast as it plays
  bonafide live call.wav --channel-mode auto      both parties of a call
  bonafide live --microphone                      until Ctrl-C; then the verdict on all of it
  bonafide live --microphone --json | jq .running_label
"""
_VERIFY_EXAMPLES = """\
examples:
  bonafide audio call.mp3 --json | jq -r .evidence > call.jws
  bonafide verify call.mp3 call.jws --key keys.json
  bonafide verify call.mp3 call.jws --key keys.json --log /var/lib/bonafide/evidence
  bonafide verify call.mp3 call.jws --key keys.json --rescore --address bonafide:50051
"""
_VERIFY_EXIT_CODES = """\
exit codes:
    0  the record is genuine and on this file; scored again, the verdict is the same
    1  refused: another file, a changed record or log, or another key
    2  the command line or the file of keys is wrong
    3  a file cannot be read
    4  the service gave no answer when asked to score again
    5  scored again, the label or a score is another, or it cannot be scored again
"""
_STATUS_EXAMPLES = """\
examples:
  bonafide status
  until bonafide status --quiet; do sleep 1; done
  bonafide status --address bonafide.example.com:443 --tls --api-key-file key.txt
"""
_JOBS_EXAMPLES = """\
examples:
  bonafide jobs create --bucket calls --prefix 2024/          all recordings below it; prints the job's id
  bonafide jobs create --bucket calls a.wav b.wav --wait      these two, with a bar until they are judged
  bonafide jobs create --bucket calls - < keys.txt            those of a list, one a line
  bonafide jobs create --bucket photos --prefix 2024/ --task face
  bonafide jobs wait ID && bonafide jobs results ID --json > results.jsonl
  bonafide jobs cancel ID
"""
_JOBS_EXIT_CODES = """\
exit codes:
  130  interrupted; the job goes on
    2  the command line is wrong; nothing was asked
    1  results: at least one spoof was found
    4  the service gave no answer; the same command may work later
    3  the service refused; results, wait: at least one object has no verdict, or the job was cancelled
    0  all else
"""


@dataclass(frozen=True)
class Options:
    """What the user asked for; `names` are files or, with a `bucket`, keys of stored recordings."""

    verb: Literal["audio", "face", "live", "status", "verify", "jobs"]
    names: tuple[str, ...]
    bucket: str | None
    address: str | None
    api_key: str | None
    tls: Tls | None
    timeout_s: float | None
    concurrency: int
    json: bool
    quiet: bool
    live: "LiveOptions | None" = None
    verify: "VerifyOptions | None" = None
    hop_s: float | None = None
    channel_mode: str = "auto"
    jobs: "JobsOptions | None" = None


@dataclass(frozen=True)
class JobsOptions:
    """What `bonafide jobs` knows besides; `job_id` is empty when one is created."""

    action: Literal["create", "status", "results", "cancel", "wait"]
    job_id: str
    prefix: str | None
    callback_url: str
    idempotency_key: str
    priority: Literal["low", "normal", "high"]
    task: Literal["voice", "face"]
    wait: bool
    after: int


@dataclass(frozen=True)
class LiveOptions:
    """What `bonafide live` knows besides; `file` is None for the microphone."""

    file: str | None
    url: str | None
    realtime: bool
    chunk_duration: float | None
    overlap_duration: float | None
    channel_mode: str | None


@dataclass(frozen=True)
class VerifyOptions:
    """What `bonafide verify` knows besides; `log` is None where it is not at hand."""

    file: Path
    record: Path
    keys: Path
    log: Path | None
    rescore: bool
    tolerance: float


def parse(argv: Sequence[str] | None = None) -> Options:
    """Reads a command line (None: that of the process), and the key file that it names."""
    parser = _parser()
    words = sys.argv[1:] if argv is None else list(argv)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    found = parser.parse_args(words)
    try:
        tls = Tls(found.ca, found.cert, found.key) if found.tls or found.ca or found.cert or found.key else None
        api_key = found.api_key_file.read_text().strip() if found.api_key_file else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if api_key == "":
        parser.error(f"{found.api_key_file} is empty")
    if found.verb == "verify" and found.keys is None:
        parser.error("verify needs --key FILE, or BONAFIDE_EVIDENCE_KEYS")
    if found.verb == "live" and (found.file is None) != found.microphone:
        parser.error("either a FILE or --microphone")
    if found.verb == "live" and found.microphone and found.channel_mode is not None:
        parser.error("the microphone has one channel: --channel-mode is for a FILE")
    if found.verb == "jobs" and found.action == "create" and bool(found.names) == (found.prefix is not None):
        parser.error("either KEYs or --prefix")
    for word in _sent(found):
        try:
            word.encode()
        except UnicodeEncodeError:
            parser.error(f"{word!a} is not UTF-8, as names at the service are")
    if found.bucket is None and found.names.count("-") > 1:
        parser.error("standard input (-) can be read only once")
    return Options(
        verb=found.verb,
        names=tuple(found.names),
        bucket=found.bucket,
        address=found.address,
        api_key=api_key,
        tls=tls,
        timeout_s=found.timeout or None,
        concurrency=found.concurrency,
        json=found.json,
        quiet=found.quiet,
        live=LiveOptions(found.file, found.url, found.realtime, found.chunk, found.overlap, found.channel_mode)
        if found.verb == "live"
        else None,
        verify=VerifyOptions(found.file, found.record, Path(found.keys), found.log, found.rescore, found.tolerance)
        if found.verb == "verify"
        else None,
        hop_s=found.hop,
        channel_mode=found.channel_mode or "auto",
        jobs=_jobs_options(found) if found.verb == "jobs" else None,
    )


def _sent(found: argparse.Namespace) -> list[str]:
    """The words that go to the service, unlike names of files, which may hold any bytes."""
    words = [] if found.bucket is None else [found.bucket, *found.names]
    if found.verb == "jobs":
        words += [found.job_id, found.prefix or "", found.callback_url, found.idempotency_key]
    return words


def _jobs_options(found: argparse.Namespace) -> JobsOptions:
    return JobsOptions(
        found.action,
        found.job_id,
        found.prefix,
        found.callback_url,
        found.idempotency_key,
        found.priority,
        found.task,
        found.wait,
        found.after,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bonafide",
        description="Asks a Bonafide service whether voices and faces are real.",
        epilog=f"`bonafide audio --help` and the like show examples.\n\n{_EXIT_CODES}\n{_ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bonafide {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="{audio,face,live,jobs,status,verify}")

    audio = _verb(verbs, "audio", "judge recordings, chunk by chunk", _AUDIO_EXAMPLES)
    audio.add_argument("names", nargs="+", metavar="FILE", help="a recording; - is standard input")
    audio.add_argument("--bucket", help="the names are keys of recordings in this bucket of the service's store")
    audio.add_argument("--hop", type=_seconds, metavar="SECONDS",
                       help="between the starts of two chunks, 0.5 to 4 (default); 2 costs twice as much")  # fmt: skip
    audio.add_argument("--channel-mode", "--channels", type=_channel_mode, metavar="MODE",
                       help="which channels are judged: auto (default: those of a call apart), mix, separate, or "
                            "the number of one, from 0")  # fmt: skip
    _several(audio)
    _grpc(audio, AUDIO_TIMEOUT_S)

    face = _verb(verbs, "face", "judge photos of faces", _FACE_EXAMPLES)
    face.add_argument("names", nargs="+", metavar="FILE", help="a photo; - is standard input")
    _several(face)
    _grpc(face, FACE_TIMEOUT_S)

    live = _verb(verbs, "live", "judge speech while it is spoken", _LIVE_EXAMPLES)
    live.add_argument("file", nargs="?", metavar="FILE", help="a recording, sent as a stream")
    live.add_argument("--microphone", action="store_true", help="listen to the microphone, until Ctrl-C")
    live.add_argument("--realtime", action="store_true", help="send a file no faster than it plays")
    live.add_argument("--chunk", type=_seconds, metavar="SECONDS", help="length of a window, 0.25 to 4")
    live.add_argument("--overlap", type=_seconds, metavar="SECONDS", help="what neighbouring windows share")
    live.add_argument("--channel-mode", "--channels", type=_channel_mode, metavar="MODE",
                      help="send the channels of FILE as they are, of which auto, mix, separate or the number of one "
                           "are judged (default: one channel is made of them here)")  # fmt: skip
    live.add_argument("--url", metavar="URL", help=f"default: $BONAFIDE_LIVE_URL, else {DEFAULT_URL}")

    _jobs(verbs)

    status = _verb(
        verbs,
        "status",
        "show whether the service is ready, and its models",
        _STATUS_EXAMPLES,
    )
    _grpc(status, STATUS_TIMEOUT_S)

    verify = _verb(verbs, "verify", "verify the signed record of a verdict", _VERIFY_EXAMPLES,
                   codes=_VERIFY_EXIT_CODES, tls_key="--tls-key")  # fmt: skip
    verify.add_argument("file", type=Path, metavar="FILE", help="what was judged")
    verify.add_argument("record", type=Path, metavar="RECORD", help="file of the record, as `evidence` of the answer")
    verify.add_argument("--key", dest="keys", metavar="FILE", default=os.environ.get("BONAFIDE_EVIDENCE_KEYS"),
                        help="the service's public keys: PEM, or its /.well-known/jwks.json")  # fmt: skip
    verify.add_argument("--log", type=Path, metavar="PATH", help="file or folder of the log that the record must be in")
    verify.add_argument("--rescore", action="store_true", help="ask the service for the verdict again, and compare")
    verify.add_argument("--tolerance", type=_share, default=0.01, metavar="P",
                        help="with --rescore, how much scores may differ (default: %(default)g)")  # fmt: skip
    _grpc(verify, AUDIO_TIMEOUT_S)
    return parser


def _jobs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "have many stored recordings or photos judged behind the calls"
    jobs = verbs.add_parser(
        "jobs",
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"{_JOBS_EXAMPLES}\n{_JOBS_EXIT_CODES}\n{_ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = jobs.add_subparsers(dest="action", required=True, metavar="{create,status,results,cancel,wait}")

    def action(name: str, about: str, timeout_s: float) -> argparse.ArgumentParser:
        parser = _verb(actions, name, about, _JOBS_EXAMPLES, codes=_JOBS_EXIT_CODES)
        parser.set_defaults(job_id="", prefix=None, callback_url="", idempotency_key="", priority="normal",
                            task="voice", wait=False, after=0)  # fmt: skip
        _grpc(parser, timeout_s)
        return parser

    create = action("create", "create a job, and print its id", JOB_TIMEOUT_S)
    create.add_argument("names", nargs="*", metavar="KEY", help="of an object; - reads keys, one a line")
    create.add_argument("--bucket", required=True, help="where the recordings lie in the service's store")
    create.add_argument("--prefix", help="instead of KEYs: all whose keys begin with it")
    create.add_argument("--callback-url", default="", metavar="URL", help="told when the job is done")
    create.add_argument("--idempotency-key", default="", metavar="TEXT", help="sent twice, the job is made once")
    create.add_argument("--priority", choices=("low", "normal", "high"), default="normal", help="among jobs")
    create.add_argument("--task", choices=("voice", "face"), default="voice", help="recordings, or photos of faces")
    create.add_argument("--wait", action="store_true", help="until it has ended, with a bar")
    for name, about, timeout_s in (
        ("status", "show how far a job is", STATUS_TIMEOUT_S),
        ("results", "print the results that are there", AUDIO_TIMEOUT_S),
        ("cancel", "end a job; its results so far stay", STATUS_TIMEOUT_S),
        ("wait", "wait until a job has ended, with a bar", STATUS_TIMEOUT_S),
    ):
        parser = action(name, about, timeout_s)
        parser.add_argument("job_id", metavar="ID", help="that `create` printed")
        if name == "results":
            parser.add_argument("--after", type=_place, default=0, metavar="N", help="without the first N")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    what: str,
    examples: str,
    *,
    codes: str = _EXIT_CODES,
    tls_key: str = "--key",
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"{examples}\n{codes}\n{_ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(names=[], bucket=None, address=None, timeout=0.0, concurrency=1, hop=None, channel_mode=None)
    parser.add_argument("--json", action="store_true", help="one JSON document per line on stdout, nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="verdicts and errors only")
    way = parser.add_argument_group("the way to the service")
    way.add_argument("--api-key-file", type=Path, metavar="FILE", help="file that holds the API key")
    way.add_argument("--tls", action="store_true", help="encrypt; implied by the three below")
    way.add_argument("--ca", metavar="FILE", help="root certificates to trust (PEM)")
    way.add_argument("--cert", metavar="FILE", help="the client's certificate (PEM), for mutual TLS")
    way.add_argument(tls_key, dest="key", metavar="FILE", help="the client's private key (PEM)")
    return parser


def _grpc(parser: argparse.ArgumentParser, timeout_s: float) -> None:
    parser.add_argument("--address", metavar="HOST:PORT", help=f"default: $BONAFIDE_ADDRESS, else {DEFAULT_ADDRESS}")
    parser.add_argument("--timeout", type=_seconds, default=timeout_s, metavar="SECONDS",
                        help="deadline of each call, 0: none (default: %(default)g)")  # fmt: skip


def _several(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--concurrency", type=_count, default=4, metavar="N",
                        help="files under judgement at a time (default: %(default)s)")  # fmt: skip


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a time in seconds")
    return value


def _channel_mode(text: str) -> str:
    if re.fullmatch("auto|mix|separate|[0-9]{1,4}", text) is None:
        raise argparse.ArgumentTypeError(f"{text} is not auto, mix, separate or the number of a channel")
    return text


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _place(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not a number of results")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
