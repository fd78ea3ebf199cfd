"""The command line: from words to `Options`. Wrong words end the process with exit code 2."""

import argparse
import sys
from collections.abc import Sequence

from ..connection import Tls
from .options import USAGE, JobsOptions, LiveOptions, Options, VerifyOptions
from .parser import parser_of_command


def parse(argv: Sequence[str] | None = None) -> Options:
    """Reads a command line (None: that of the process), and the key file that it names."""
    parser = parser_of_command()
    words = sys.argv[1:] if argv is None else list(argv)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    found = parser.parse_args(words)
    try:
        tls = Tls(found.ca, found.cert, found.key) if found.tls or found.ca or found.cert or found.key else None
        api_key = found.api_key_file.read_text().strip() if found.api_key_file else None
    except UnicodeDecodeError:
        parser.error(f"{found.api_key_file} is no text, as a key is")
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
        key_in_clear=found.key_in_clear,
        timeout_s=found.timeout or None,
        concurrency=found.concurrency,
        json=found.json,
        quiet=found.quiet,
        live=LiveOptions(found.file, found.url, found.realtime, found.chunk, found.overlap, found.channel_mode)
        if found.verb == "live"
        else None,
        verify=VerifyOptions(found.file, found.record, found.keys, found.log, found.rescore, found.tolerance)
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
        words += [found.job_id, found.prefix or "", found.callback_url or "", found.idempotency_key or ""]
    return words


def _jobs_options(found: argparse.Namespace) -> JobsOptions:
    return JobsOptions(
        found.action,
        found.job_id,
        found.prefix,
        found.callback_url or "",
        found.idempotency_key or "",
        found.priority,
        found.task,
        found.wait,
        found.after,
    )
