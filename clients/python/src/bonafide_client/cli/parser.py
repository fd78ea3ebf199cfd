"""The verbs of the command and their arguments, each with its help."""

import argparse
import os

from ..connection import AUDIO_TIMEOUT_S, DEFAULT_ADDRESS, DEFAULT_LIVE_URL, FACE_TIMEOUT_S, STATUS_TIMEOUT_S
from ..job_results import JOB_TIMEOUT_S
from ..version import __version__
from . import argument_types as types
from . import help_texts as texts


def parser_of_command() -> argparse.ArgumentParser:
    """Reads words into a namespace in which every verb has the attributes of all: see `arguments.parse`."""
    parser = argparse.ArgumentParser(
        prog="bonafide",
        description="Asks a Bonafide service whether voices and faces are real.",
        epilog=f"`bonafide audio --help` and the like show examples.\n\n{texts.EXIT_CODES}\n{texts.ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bonafide {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="{audio,face,live,jobs,status,verify}")

    audio = _verb(verbs, "audio", "judge recordings, chunk by chunk", texts.AUDIO_EXAMPLES)
    audio.add_argument("names", nargs="+", type=types.word, metavar="FILE", help="a recording; - is standard input")
    audio.add_argument("--bucket", help="the names are keys of recordings in this bucket of the service's store")
    audio.add_argument("--hop", type=types.seconds, metavar="SECONDS",
                       help="between the starts of two chunks, 0.5 to 4 (default); 2 costs twice as much")  # fmt: skip
    audio.add_argument("--channel-mode", "--channels", type=types.channel_mode, metavar="MODE",
                       help="which channels are judged: auto (default: those of a call apart), mix, separate, or "
                            "the number of one, from 0")  # fmt: skip
    _several(audio)
    _grpc(audio, AUDIO_TIMEOUT_S)

    face = _verb(verbs, "face", "judge photos of faces", texts.FACE_EXAMPLES)
    face.add_argument("names", nargs="+", type=types.word, metavar="FILE", help="a photo; - is standard input")
    _several(face)
    _grpc(face, FACE_TIMEOUT_S)

    live = _verb(verbs, "live", "judge speech while it is spoken", texts.LIVE_EXAMPLES)
    live.add_argument("file", nargs="?", type=types.word, metavar="FILE", help="a recording, sent as a stream")
    live.add_argument("--microphone", action="store_true", help="listen to the microphone, until Ctrl-C")
    live.add_argument("--realtime", action="store_true", help="send a file no faster than it plays")
    live.add_argument("--chunk", type=types.seconds, metavar="SECONDS", help="length of a window, 0.25 to 4")
    live.add_argument("--overlap", type=types.seconds, metavar="SECONDS", help="what neighbouring windows share")
    live.add_argument("--channel-mode", "--channels", type=types.channel_mode, metavar="MODE",
                      help="send the channels of FILE as they are, of which auto, mix, separate or the number of one "
                           "are judged (default: one channel is made of them here)")  # fmt: skip
    live.add_argument("--url", type=types.word, metavar="URL",
                      help=f"default: $BONAFIDE_LIVE_URL, else {DEFAULT_LIVE_URL}")  # fmt: skip

    _jobs(verbs)

    status = _verb(
        verbs,
        "status",
        "show whether the service is ready, and its models",
        texts.STATUS_EXAMPLES,
    )
    _grpc(status, STATUS_TIMEOUT_S)

    verify = _verb(verbs, "verify", "verify the signed record of a verdict", texts.VERIFY_EXAMPLES,
                   codes=texts.VERIFY_EXIT_CODES, tls_key="--tls-key")  # fmt: skip
    verify.add_argument("file", type=types.path, metavar="FILE", help="what was judged")
    verify.add_argument("record", type=types.path, metavar="RECORD",
                        help="file of the record, as `evidence` of the answer")  # fmt: skip
    verify.add_argument("--key", dest="keys", type=types.path, metavar="FILE",
                        default=os.environ.get("BONAFIDE_EVIDENCE_KEYS") or None,
                        help="the service's public keys: PEM, or its /.well-known/jwks.json")  # fmt: skip
    verify.add_argument("--log", type=types.path, metavar="PATH",
                        help="file or folder of the log that the record must be in")  # fmt: skip
    verify.add_argument("--rescore", action="store_true", help="ask the service for the verdict again, and compare")
    verify.add_argument("--tolerance", type=types.share, default=0.01, metavar="P",
                        help="with --rescore, how much scores may differ (default: %(default)g)")  # fmt: skip
    _grpc(verify, AUDIO_TIMEOUT_S)
    return parser


def _jobs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "have many stored recordings or photos judged behind the calls"
    jobs = verbs.add_parser(
        "jobs",
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"{texts.JOBS_EXAMPLES}\n{texts.JOBS_EXIT_CODES}\n{texts.ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = jobs.add_subparsers(dest="action", required=True, metavar="{create,status,results,cancel,wait}")

    def action(name: str, about: str, timeout_s: float) -> argparse.ArgumentParser:
        parser = _verb(actions, name, about, texts.JOBS_EXAMPLES, codes=texts.JOBS_EXIT_CODES)
        parser.set_defaults(job_id="", prefix=None, callback_url=None, idempotency_key=None, priority="normal",
                            task="voice", wait=False, after=0)  # fmt: skip
        _grpc(parser, timeout_s)
        return parser

    create = action("create", "create a job, and print its id", JOB_TIMEOUT_S)
    create.add_argument("names", nargs="*", metavar="KEY", help="of an object; - reads keys, one a line")
    create.add_argument("--bucket", required=True, help="where the recordings lie in the service's store")
    create.add_argument("--prefix", help="instead of KEYs: all whose keys begin with it")
    create.add_argument("--callback-url", type=types.word, metavar="URL", help="told when the job is done")
    create.add_argument("--idempotency-key", type=types.word, metavar="TEXT", help="sent twice, the job is made once")
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
            parser.add_argument("--after", type=types.place, default=0, metavar="N", help="without the first N")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    what: str,
    examples: str,
    *,
    codes: str = texts.EXIT_CODES,
    tls_key: str = "--key",
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"{examples}\n{codes}\n{texts.ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(names=[], bucket=None, address=None, timeout=0.0, concurrency=1, hop=None, channel_mode=None)
    parser.add_argument("--json", action="store_true", help="one JSON document per line on stdout, nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="verdicts and errors only")
    way = parser.add_argument_group("the way to the service")
    way.add_argument("--api-key-file", type=types.path, metavar="FILE", help="file that holds the API key")
    way.add_argument(
        "--key-in-clear",
        action="store_true",
        help="send the key without TLS to other machines too; something else encrypts the way",
    )
    way.add_argument("--tls", action="store_true", help="encrypt; implied by the three below")
    way.add_argument("--ca", type=types.path, metavar="FILE", help="root certificates to trust (PEM)")
    way.add_argument("--cert", type=types.path, metavar="FILE",
                     help="the client's certificate (PEM), for mutual TLS")  # fmt: skip
    way.add_argument(tls_key, dest="key", type=types.path, metavar="FILE", help="the client's private key (PEM)")
    return parser


def _grpc(parser: argparse.ArgumentParser, timeout_s: float) -> None:
    parser.add_argument("--address", type=types.word, metavar="HOST:PORT",
                        help=f"default: $BONAFIDE_ADDRESS, else {DEFAULT_ADDRESS}")  # fmt: skip
    parser.add_argument("--timeout", type=types.seconds, default=timeout_s, metavar="SECONDS",
                        help="deadline of each call, 0: none (default: %(default)g)")  # fmt: skip


def _several(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--concurrency", type=types.count, default=4, metavar="N",
                        help="files under judgement at a time (default: %(default)s)")  # fmt: skip
