"""The command `bonafide` as a script or a person meets it: a process, its streams, its exit code."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from bonafide_client import __version__
from bonafide_client.cli import main
from bonafide_client.cli.standard_input import standard_input

from .command import bonafide, bonafide_within, environment, redirected
from .peer import NOT_SERVING, REQUEST_ID, Failure, Peer

Status = grpc.StatusCode


def test_a_bona_fide_recording(address: str, peer: Peer, files: list[Path]) -> None:
    peer.scores = [0.1, 0.6]
    peer.voice.warnings.append("the file is truncated")
    done = bonafide("audio", files[0], "--address", address)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()
    assert re.search(r"^0:00\.0 +0:04\.0 +0\.100 +##\.{18} +75 % +bonafide *$", done.stdout, re.MULTILINE)
    assert re.search(r"^0:04\.0 +0:08\.0 +0\.600 +#{12}\.{8} +75 % +spoof *$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^BONA FIDE +score 0\.350, threshold 0\.500; 1 of 2 chunks spoof, 0:08\.0 ", done.stdout, re.MULTILINE
    )
    assert "suspicious: 0:04.0 to 0:08.0, score 0.600" in done.stdout
    assert "warning: the file is truncated" in done.stdout
    assert "model wavlm-peer v1" in done.stdout
    assert "DEMONSTRATION MODEL" in done.stdout


def test_a_recording_without_speech_is_not_judged(address: str, peer: Peer, files: list[Path]) -> None:
    peer.scores = [None, None]
    peer.voice.error_message = "no speech was found"
    done = bonafide_within("audio", files[0], "--address", address)
    assert (done.returncode, done.stderr) == (3, "")
    assert re.search(r"^0:00\.0 +0:04\.0 +- +0 % +no_speech *$", done.stdout, re.MULTILINE)
    assert re.search(r"^NO SPEECH +no speech was found, 0:08\.0 ", done.stdout, re.MULTILINE)
    (document,) = documents(bonafide_within("audio", files[0], "--json", "--address", address).stdout)
    assert "score" not in document
    assert "score" not in document["chunks"][0]
    assert (document["label"], document["predictions"]) == ("no_speech", {})


def test_quiet_prints_a_line_per_verdict(address: str, files: list[Path]) -> None:
    done = bonafide_within("audio", *files, "-q", "--address", address)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.rsplit(maxsplit=1)[-1] for line in lines] == [str(path) for path in files]
    assert all("(demo model)" in line for line in lines)


@pytest.mark.parametrize(("scores", "code"), [([0.2], 0), ([0.9], 1)])
def test_verdicts_become_exit_codes(
    address: str, peer: Peer, files: list[Path], scores: list[float], code: int
) -> None:
    peer.scores = [*scores]
    assert bonafide_within("audio", files[0], "--address", address).returncode == code
    assert bonafide_within("audio", "--bucket", "calls", "k", "--address", address).returncode == code
    done = bonafide_within("face", files[0], files[1], "--address", address)
    assert done.returncode == code
    assert ("FAKE" in done.stdout) == bool(code)
    assert ("LIVE" in done.stdout) != bool(code)


ERRORS = [
    ("invalid_request", Status.INVALID_ARGUMENT, 3),
    ("unreadable_media", Status.INVALID_ARGUMENT, 3),
    ("too_large", Status.INVALID_ARGUMENT, 3),
    ("object_not_found", Status.NOT_FOUND, 3),
    ("forbidden", Status.PERMISSION_DENIED, 3),
    ("unauthenticated", Status.UNAUTHENTICATED, 4),
    ("overloaded", Status.RESOURCE_EXHAUSTED, 4),
    ("unavailable", Status.UNAVAILABLE, 4),
    ("deadline_exceeded", Status.DEADLINE_EXCEEDED, 4),
    ("internal", Status.INTERNAL, 4),
]


@pytest.mark.parametrize(("code", "status", "exit_code"), ERRORS)
def test_errors_become_exit_codes_and_the_other_files_go_on(
    address: str, peer: Peer, files: list[Path], code: str, status: grpc.StatusCode, exit_code: int
) -> None:
    peer.failures.append(Failure(status, "why", code))
    done = bonafide_within("audio", *files, "--concurrency", "1", "--address", address)
    assert done.returncode == exit_code
    assert done.stderr == f"{files[0]}: {code}: why (request {REQUEST_ID})\n"
    assert done.stdout.count("BONA FIDE") == 2
    assert "3 files: 2 bonafide, 1 not judged" in done.stdout


def test_precedence_of_exit_codes(address: str, peer: Peer, files: list[Path]) -> None:
    unreadable = Failure(Status.INVALID_ARGUMENT, code="unreadable_media")
    overloaded = Failure(Status.RESOURCE_EXHAUSTED, code="overloaded")
    words: list[str | Path] = ["audio", *files, "--concurrency", "1", "--address", address]
    peer.failures.extend([unreadable, overloaded])
    assert bonafide_within(*words).returncode == 4, "no answer goes before not judged"
    peer.scores = [0.9]
    peer.failures.extend([unreadable, overloaded])
    assert bonafide_within(*words).returncode == 1, "a finding is never hidden"


def test_a_bona_fide_verdict_that_lacks_chunks_is_not_success(address: str, peer: Peer, files: list[Path]) -> None:
    peer.voice.error_message = "chunk_3 could not be scored"
    done = bonafide_within("audio", files[0], "--address", address)
    assert done.returncode == 3
    assert "not all of it was judged: chunk_3 could not be scored" in done.stdout


@pytest.mark.parametrize(("scores", "code"), [([0.2], 3), ([0.9], 1)])
def test_a_live_verdict_not_to_rely_on_is_not_success(
    address: str, peer: Peer, files: list[Path], scores: list[float], code: int
) -> None:
    peer.scores = [*scores]
    peer.face.reason = "small_face"
    done = bonafide_within("face", files[0], "--address", address)
    assert done.returncode == code
    assert "(small_face)" in done.stdout


@pytest.mark.parametrize(("scores", "code"), [([0.2], 3), ([0.9], 1)])
def test_a_decision_that_is_uncertain_is_not_success(
    address: str, peer: Peer, files: list[Path], scores: list[float], code: int
) -> None:
    peer.scores = [*scores]
    peer.voice.decision = peer.face.decision = "uncertain"
    assert main(["audio", str(files[0]), "--address", address]) == code
    assert main(["face", str(files[0]), "--address", address]) == code


@pytest.mark.parametrize(("scores", "code"), [([0.1, 0.6], 3), ([0.9], 1)])
def test_a_recording_that_is_spoofed_in_part_is_not_success(
    address: str, peer: Peer, files: list[Path], scores: list[float], code: int
) -> None:
    peer.scores = [*scores]
    peer.voice.partially_spoofed = True
    assert main(["audio", str(files[0]), "--address", address]) == code
    assert main(["audio", "--bucket", "calls", "k", "--address", address]) == code


def test_a_missing_file(address: str, files: list[Path]) -> None:
    done = bonafide_within("face", "none.jpg", files[0], "--address", address)
    assert done.returncode == 3
    assert done.stderr == "none.jpg: file_error: No such file or directory\n"
    assert "LIVE" in done.stdout


def test_an_unreachable_service_and_a_deadline(address: str, peer: Peer, files: list[Path]) -> None:
    done = bonafide_within("audio", files[0], "--address", "127.0.0.1:1")
    assert done.returncode == 4
    assert done.stderr.startswith(f"{files[0]}: unavailable: ")
    peer.delay_s = 60
    done = bonafide_within("audio", files[0], "--address", address, "--timeout", "0.5")
    assert done.returncode == 4
    assert "deadline_exceeded" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (), ("audio",), ("face",), ("sing",), ("audio", "a", "--nonsense"), ("audio", "a", "--timeout", "-1"),
        ("audio", "a", "--timeout", "soon"), ("audio", "a", "--concurrency", "0"), ("audio", "-", "-"),
        ("face", "a", "--cert", "c.pem"), ("face", "a", "--ca", "none.pem"), ("status", "--api-key-file", "none"),
        ("status", "--address", "http://localhost:3000"),
    ],
)  # fmt: skip
def test_wrong_words_are_exit_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(words)
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "usage:" in err or "error:" in err


def test_help_has_examples_and_exit_codes() -> None:
    assert bonafide("--version").stdout == f"bonafide {__version__}\n"
    for verb in ("audio", "face", "status"):
        done = bonafide_within(verb, "--help")
        assert done.returncode == 0
        assert f"bonafide {verb}" in done.stdout.split("examples:")[1]
        assert "exit codes" in done.stdout
        assert "BONAFIDE_API_KEY" in done.stdout


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_all_there_is_on_stdout(address: str, peer: Peer, files: list[Path]) -> None:
    peer.scores = [0.1, 0.9]
    peer.failures.append(Failure(Status.INVALID_ARGUMENT, "why", "unreadable_media"))
    done = bonafide_within(
        "audio", files[0], "none.wav", files[1], "--json", "--concurrency", "1", "--address", address
    )
    assert done.returncode == 1
    unreadable, missing, report = documents(done.stdout)
    assert unreadable == {
        "file": str(files[0]),
        "error": {"code": "unreadable_media", "message": "why", "request_id": REQUEST_ID},
    }
    assert (missing["file"], missing["error"]["code"]) == ("none.wav", "file_error")
    assert report == {
        "file": str(files[1]),
        "predictions": {"chunk_0": 0.1, "chunk_1": 0.9},
        "error_message": "",
        "chunks": [
            {
                "chunk_id": "chunk_0",
                "score": 0.1,
                "start_time_seconds": 0.0,
                "end_time_seconds": 4.0,
                "label": "bonafide",
                "speech_ratio": 0.75,
                "member_scores": {},
                "channel": "",
            },
            {
                "chunk_id": "chunk_1",
                "score": 0.9,
                "start_time_seconds": 4.0,
                "end_time_seconds": 8.0,
                "label": "spoof",
                "speech_ratio": 0.75,
                "member_scores": {},
                "channel": "",
            },
        ],
        "score": 0.5,
        "label": "spoof",
        "threshold": 0.5,
        "model": {"name": "wavlm-peer", "version": "v1", "demo": True},
        "audio_seconds": 8.0,
        "request_id": REQUEST_ID,
        "warnings": [],
        "calibrated": False,
        "suspicious": [{"start_time_seconds": 4.0, "end_time_seconds": 8.0, "score": 0.9}],
        "speech_seconds": 6.0,
        "member_scores": {},
        "decision": "",
        "partially_spoofed": False,
        "conditions": [],
        "hop_seconds": None,
        "channel": "",
        "channels": [],
    }
    assert done.stderr.count("\n") == 2, "the errors are for people too"


def test_json_of_stored_recordings_faces_and_status(address: str, peer: Peer, files: list[Path]) -> None:
    done = bonafide_within("audio", "--bucket", "calls", "x/y.wav", "--json", "--address", address)
    assert documents(done.stdout)[0].items() >= {"bucket": "calls", "key": "x/y.wav", "label": "bonafide"}.items()
    assert peer.calls[-1].method == "AnalyzeAudioStream"
    done = bonafide_within("face", files[0], "--json", "--address", address)
    assert documents(done.stdout) == [
        {
            "file": str(files[0]), "is_live": True, "confidence": 0.9, "predicted_class": "live",
            "probabilities": {"fake": 0.1, "live": 0.9}, "success": True, "error_message": "", "threshold": 0.5,
            "model_name": "dino-peer", "model_version": "v2", "demo": False, "request_id": REQUEST_ID, "error_code": "",
            "calibrated": True, "reason": "", "faces": [], "member_scores": {}, "decision": "",
        }
    ]  # fmt: skip
    (status,) = documents(bonafide_within("status", "--json", "--address", address).stdout)
    assert (status["health"], status["voice"]["model"]["name"], status["face"]["engine"]) == (
        "SERVING", "wavlm-peer", "torch",
    )  # fmt: skip
    done = bonafide_within("status", "--json", "--address", "127.0.0.1:1")
    assert done.returncode == 4
    assert documents(done.stdout)[0]["error"]["code"] == "unavailable"


def test_results_keep_the_order_of_the_command_line(address: str, peer: Peer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.wav" for number in range(20)]
    for path in paths:
        path.write_bytes(b"x")
    done = bonafide("audio", *paths, "--json", "--concurrency", "8", BONAFIDE_ADDRESS=address)
    assert [document["file"] for document in documents(done.stdout)] == [str(path) for path in paths]


def test_standard_input(address: str, peer: Peer) -> None:
    data = os.urandom(1_000_000)
    done = bonafide("audio", "-", "--json", "--address", address, stdin=data)
    assert documents(done.stdout)[0]["file"] == "-"
    assert b"".join(part.data for part in peer.calls[0].parts) == data
    assert bonafide("face", "-", "--address", address, stdin=b"photo").returncode == 0
    assert peer.calls[1].request.image_data == b"photo"


@pytest.mark.parametrize(
    ("streams", "code"),
    [(">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), (">/dev/full", 4), ("--json >/dev/full", 4)],
)
def test_a_verdict_that_cannot_be_printed_is_no_spoof(address: str, files: list[Path], streams: str, code: int) -> None:
    done = redirected("audio", files[0], "--address", address, streams=streams)
    assert done.returncode == code, done.stderr
    if code == 4:
        assert done.stderr == "bonafide: error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("name", "code"), [("not-there.wav", 4), ("--no-such-option", 2)])
def test_an_error_that_cannot_be_printed_is_no_spoof(address: str, name: str, code: int, unbuffered: str) -> None:
    words = ["audio", name, "--address", address]
    done = redirected(*words, streams="2>/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stdout) == (code, "")


def test_a_pipe_that_does_not_block_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one that whoever started the process reads and writes by events; a list of keys ended where it paused."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"a.wav\n")
    with open(reading) as pipe, ThreadPoolExecutor(1) as writer:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", pipe)

        def write_the_rest() -> None:
            time.sleep(0.2)
            os.write(writing, b"b.wav\n")
            os.close(writing)

        writer.submit(write_the_rest)
        assert standard_input().read() == b"a.wav\nb.wav\n"


def test_standard_input_that_is_closed_is_empty(address: str, peer: Peer) -> None:
    done = redirected("audio", "-", "--address", address, streams="<&-")
    assert done.returncode == 0, done.stderr
    assert [part.data for part in peer.calls[0].parts] == [b""]


def test_status(address: str, peer: Peer) -> None:
    done = bonafide_within("status", "--address", address)
    assert done.returncode == 0
    assert f"{address} is SERVING" in done.stdout
    for fact in ("wavlm-peer v1", "dino-peer v2", "torch", "cpu", "DEMONSTRATION"):
        assert fact in done.stdout
    peer.loaded = False
    assert bonafide_within("status", "--address", address).returncode == 4
    peer.loaded = True
    peer.health.set("", NOT_SERVING)
    done = bonafide_within("status", "--quiet", "--address", address)
    assert (done.returncode, done.stdout) == (4, f"{address} is NOT_SERVING\n")


def test_the_key_comes_from_a_file_or_the_environment(address: str, peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("from-file\n")
    bonafide_within("status", "--address", address, "--api-key-file", tmp_path / "key.txt", BONAFIDE_API_KEY="from-env")
    bonafide_within("status", "--address", address, BONAFIDE_API_KEY="from-env")
    seen = [call.metadata["authorization"] for call in peer.calls]
    assert seen == ["Bearer from-file"] * 2 + ["Bearer from-env"] * 2
    foreign = ("status", "--address", "bank.invalid:50051", "--timeout", "0.1")
    done = bonafide(*foreign, BONAFIDE_API_KEY="from-env")
    assert (done.returncode, "--key-in-clear" in done.stderr) == (2, True)
    assert bonafide(*foreign, "--key-in-clear", BONAFIDE_API_KEY="from-env").returncode == 4


@pytest.mark.parametrize(
    "words",
    [
        ["live", ""],  # which listened to the microphone
        ["status", "--ca", ""],  # which did without TLS
        ["audio", "a.wav", ""],
        ["face", "a.jpg", "--address", ""],
        ["live", "a.wav", "--url", ""],
        ["verify", "a.wav", "a.jws", "--key", "keys.json", "--log", ""],
        ["status", "--api-key-file", ""],
        ["jobs", "create", "--bucket", "b", "a.wav", "--idempotency-key", ""],  # which made another job each time
        ["jobs", "create", "--bucket", "b", "a.wav", "--callback-url", ""],  # of which nobody was told
    ],
)
def test_an_empty_word_is_not_taken_for_one_that_is_not_there(words: list[str]) -> None:
    """As of a script whose variable is not set: `bonafide live "$FILE"`."""
    done = bonafide_within(*words)
    assert (done.returncode, "is empty" in done.stderr) == (2, True)


def test_a_file_that_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    done = bonafide_within("status", "--api-key-file", tmp_path / "photo.jpg")
    assert (done.returncode, "photo.jpg" in done.stderr) == (2, True)


def test_names_cannot_steer_the_terminal(address: str, peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2J[red]x.wav"
    path.write_bytes(b"x")
    peer.failures.append(Failure(Status.INVALID_ARGUMENT, "\x1b]0;title\x07", "unreadable_media"))
    done = bonafide("audio", path, path, os.fsdecode(b"bad\xff.wav"), "--concurrency", "1", "--address", address)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b[2J[red]x.wav" in done.stdout
    assert "bad\\udcff.wav: file_error" in done.stderr


def test_the_module_runs_too_and_imports_what_it_uses() -> None:
    """As every start of the command waits for it."""
    command = [sys.executable, "-X", "importtime", "-m", "bonafide_client", "--version"]
    done = subprocess.run(command, capture_output=True, check=True, env=environment(), text=True)
    assert done.stdout == f"bonafide {__version__}\n"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "bonafide_client.cli.run" in imported
    assert {"websockets", "bonafide_client.live", "bonafide_client.evidence", "numpy"} & imported == set()
