"""Records, files and logs: genuine ones are verified, and one with any byte changed is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonafide_client.cli import main
from bonafide_client.evidence import EvidenceError, PublicKeys, digest_of_file, verify_log, verify_record

from .peer import Failure, Peer
from .signer import Signer, text

MEDIA = b"the bytes of a recording" * 10
PLAIN = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
QUICK = settings(PLAIN, max_examples=60)
"""Where each change takes the same way: another hash."""
BITS = st.integers(1, 255)


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def keys(signer: Signer, tmp_path: Path) -> PublicKeys:
    (tmp_path / "keys.json").write_text(signer.jwks())
    return PublicKeys.read(tmp_path / "keys.json")


def changed(data: bytes, at: int, bits: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def test_a_genuine_record_is_verified(signer: Signer, keys: PublicKeys, tmp_path: Path) -> None:
    (tmp_path / "call").write_bytes(MEDIA)
    record = verify_record(signer.record(MEDIA).encode() + b"\n", keys)
    record.require_media(digest_of_file(tmp_path / "call"))
    assert record.payload["label"] == "bonafide"
    assert record.place == ("c-1", 0, "0" * 64)
    (tmp_path / "key.pem").write_bytes(signer.pem())
    assert verify_record(record.text, PublicKeys.read(tmp_path / "key.pem")) == record


@PLAIN
@given(at=st.integers(0, 10_000), bits=BITS)
def test_any_changed_byte_of_a_record_is_refused(signer: Signer, keys: PublicKeys, at: int, bits: int) -> None:
    genuine = signer.record(MEDIA, logged=False).encode() + b"\n"
    with pytest.raises(EvidenceError):
        verify_record(changed(genuine, at, bits), keys)


@QUICK
@given(at=st.integers(0, len(MEDIA) - 1), bits=BITS)
def test_any_changed_byte_of_the_file_is_refused(
    signer: Signer, keys: PublicKeys, tmp_path: Path, at: int, bits: int
) -> None:
    (tmp_path / "call").write_bytes(changed(MEDIA, at, bits))
    with pytest.raises(EvidenceError, match="not what was judged"):
        verify_record(signer.record(MEDIA, logged=False).encode(), keys).require_media(
            digest_of_file(tmp_path / "call")
        )


@PLAIN
@given(at=st.integers(0, 10_000), bits=BITS, count=st.integers(1, 4))
def test_any_changed_byte_of_the_log_is_refused(
    keys: PublicKeys, signer: Signer, tmp_path: Path, at: int, bits: int, count: int
) -> None:
    signer.lines.clear()
    record, *_ = [signer.record(MEDIA) for _ in range(count)]
    path = signer.write(tmp_path / "log")
    assert [(chain.first, chain.records) for chain in verify_log(path, keys, record.encode())] == [(0, count)]
    path.write_bytes(changed(path.read_bytes(), at, bits))
    with pytest.raises(EvidenceError):
        verify_log(path.parent, keys, record.encode())


def test_a_line_that_is_missing_doubled_or_elsewhere_is_refused(
    signer: Signer, keys: PublicKeys, tmp_path: Path
) -> None:
    lines = [signer.record(MEDIA) for _ in range(4)]
    path = signer.write(tmp_path / "log")

    def refused(*kept: str) -> str:
        path.write_text("".join(f"{line}\n" for line in kept))
        with pytest.raises(EvidenceError) as error:
            verify_log(path, keys, lines[0].encode())
        return str(error.value)

    assert "missing" in refused(lines[0], lines[2], lines[3])
    assert "twice" in refused(lines[0], lines[0], lines[1])
    assert "not in the log" in refused(lines[1], lines[2])
    forged = Signer()
    forged.key, forged.kid, forged.lines = signer.key, signer.kid, ["another record"]
    assert "does not follow" in refused(lines[0], forged.record(MEDIA))
    path.write_text("".join(f"{line}\n" for line in lines[2:]))
    (chain,) = verify_log(path, keys)
    assert (chain.first, chain.records, chain.last) == (2, 2, hashlib.sha256(lines[3].encode()).hexdigest())


def test_a_chain_over_several_files_and_several_chains(signer: Signer, keys: PublicKeys, tmp_path: Path) -> None:
    lines = [signer.record(MEDIA) for _ in range(3)]
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "c-1.000001.jws").write_text(f"{lines[0]}\n{lines[1]}\n")
    (folder / "c-1.000002.jws").write_text(f"{lines[2]}\n")
    other = signer.record(MEDIA, log={"chain": "c-2", "number": 0, "previous": "0" * 64})
    (folder / "c-2.000001.jws").write_text(f"{other}\n")
    assert [(chain.name, chain.records) for chain in verify_log(folder, keys)] == [("c-1", 3), ("c-2", 1)]


def test_a_record_that_was_cut_off_at_the_end_is_a_finding(signer: Signer, keys: PublicKeys, tmp_path: Path) -> None:
    first, second, third = [signer.record(MEDIA) for _ in range(3)]
    path = signer.write(tmp_path / "log")
    kept = f"{first}\n{second}\n"
    last = hashlib.sha256(second.encode()).hexdigest()
    for cut in ("e", third[:100], third[:-60], third[:-1], "\0" * 9, third[:100] + "\0" * 9):
        path.write_text(kept + cut)
        (chain,) = verify_log(path.parent, keys, second.encode())
        assert (chain.records, chain.last, chain.cut_bytes) == (2, last, len(cut))
        with pytest.raises(EvidenceError, match="not in the log"):
            verify_log(path.parent, keys, third.encode())
    path.write_text(kept + third)  # all of it but the newline
    (chain,) = verify_log(path.parent, keys, third.encode())
    assert (chain.records, chain.cut_bytes) == (3, 0)
    for changed_end in (third + "A", third + "\0", third[:-1] + "=", f"{third[:20]} ", second[:-9] + "." + third):
        path.write_text(kept + changed_end)
        with pytest.raises(EvidenceError, match="line 3"):
            verify_log(path.parent, keys, first.encode())


def test_what_was_cut_off_stands_at_the_end_of_a_chain_alone(signer: Signer, keys: PublicKeys, tmp_path: Path) -> None:
    first, second, third = [signer.record(MEDIA) for _ in range(3)]
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "c-1.000001.jws").write_text(f"{first}\n{second[:90]}")
    (folder / "c-1.000002.jws").write_text(f"{third}\n")
    with pytest.raises(EvidenceError, match="missing"):
        verify_log(folder, keys)
    (folder / "c-1.000002.jws").write_text(f"{second}\n{third}\n")
    with pytest.raises(EvidenceError, match=r"000001.jws, line 2: it ends within a record, and others"):
        verify_log(folder, keys)
    (folder / "c-1.000001.jws").write_text(f"{first}\n{second}\n")
    (folder / "c-1.000002.jws").write_text(third[:90])
    other = signer.record(MEDIA, log={"chain": "c-2", "number": 0, "previous": "0" * 64})
    (folder / "c-2.000001.jws").write_text(f"{other}\n")
    (folder / "c-3.000001.jws").write_text(third[:80])
    chains = [(chain.name, chain.records, chain.cut_bytes) for chain in verify_log(folder, keys)]
    assert chains == [("c-1", 2, 90), ("c-2", 1, 0), ("c-3", 0, 80)]


def _strange(signer: Signer) -> dict[str, str]:
    good = signer.record(MEDIA, logged=False)
    first, second, third = good.split(".")
    none = text(json.dumps({"alg": "none", "kid": signer.kid, "typ": "bonafide-evidence+jws"}).encode())
    return {
        "empty": "",
        "dots": "..",
        "no signature": f"{first}.{second}.",
        "algorithm none": f"{none}.{second}.",
        "four parts": f"{good}.{third}",
        "padding": f"{first}.{second}.{third}==",
        "two newlines": f"{good}\n\n",
        "critical header": signer.sign({}, crit=["b64"]),
        "another type": signer.sign({}, typ="JWT"),
        "no payload": signer.sign({}),
        "a list": signer.sign([]),
        "another form": signer.record(MEDIA, logged=False, form=2),
        "media of another kind": signer.record(MEDIA, logged=False, media={"sha256": "", "bytes": "5"}),
        "nested": text(b"[" * 100_000) + "..",
        "kid of another kind": signer.sign({}, kid=[1]),
    }


@pytest.mark.parametrize("name", _strange(Signer()))
def test_what_is_no_record_is_refused(name: str, signer: Signer, keys: PublicKeys) -> None:
    with pytest.raises(EvidenceError):
        verify_record(_strange(signer)[name].encode(), keys)


def test_a_record_of_another_key_is_refused(keys: PublicKeys) -> None:
    with pytest.raises(EvidenceError, match="none of those given"):
        verify_record(Signer().record(MEDIA).encode(), keys)


@pytest.mark.parametrize(
    "content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}', "[", "x"]
)
def test_files_without_keys_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(ValueError, match="keys"):
        PublicKeys.read(tmp_path / "keys")


@pytest.fixture
def command(signer: Signer, keys: PublicKeys, tmp_path: Path) -> Callable[..., int]:
    """`bonafide verify` on a file and its record, with other arguments after them."""
    (tmp_path / "call").write_bytes(MEDIA)
    (tmp_path / "call.jws").write_text(signer.record(MEDIA))

    def run(*more: str) -> int:
        paths = [str(tmp_path / name) for name in ("call", "call.jws")]
        return main(["verify", *paths, "--key", str(tmp_path / "keys.json"), *more])

    return run


def test_the_command(command: Callable[..., int], signer: Signer, tmp_path: Path, capsys: Any) -> None:
    log = signer.write(tmp_path / "log")
    assert command("--log", str(log.parent)) == 0
    said = capsys.readouterr().out
    assert "verified" in said
    assert "bonafide, score 0.35" in said
    assert "chain c-1, records 0 to 0" in said
    assert command("--json") == 0
    assert json.loads(capsys.readouterr().out)["record"]["request_id"] == "r-1"
    log.write_text(log.read_text() + "eyJ")
    (log.parent / "c-2.000001.jws").write_text("eyJ")
    assert command("--log", str(log.parent), "--json") == 0
    told = capsys.readouterr()
    assert "chain c-1 ends with 3 bytes of a record that is not complete" in told.err
    assert [chain["cut_bytes"] for chain in json.loads(told.out)["log"]] == [3, 3]
    assert command("--log", str(log.parent)) == 0
    assert "chain c-2, no complete record" in capsys.readouterr().out
    log.write_text("")
    assert command("--log", str(log)) == 1
    assert "not in the log" in capsys.readouterr().err
    (tmp_path / "call").write_bytes(MEDIA + b".")
    assert command() == 1
    (tmp_path / "call").unlink()
    assert command() == 3
    (tmp_path / "keys.json").write_text("none")
    assert command() == 2


def test_keys_may_come_from_the_environment(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["verify", str(tmp_path / "call"), str(tmp_path / "call.jws")]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    monkeypatch.setenv("BONAFIDE_EVIDENCE_KEYS", str(tmp_path / "keys.json"))
    assert main(words) == 0


def test_scored_again(
    command: Callable[..., int], peer: Peer, address: str, capsys: Any, tmp_path: Path, signer: Signer
) -> None:
    peer.scores = [0.1, 0.6]
    assert command("--rescore", "--address", address) == 0
    assert "scored again: bonafide, score 0.35; at most 0.000000 apart" in capsys.readouterr().out
    peer.scores = [0.1, 0.7]
    assert command("--rescore", "--address", address, "--json") == 5
    assert json.loads(capsys.readouterr().out)["again"]["largest_difference"] == pytest.approx(0.1)
    assert command("--rescore", "--address", address, "--tolerance", "0.2") == 0
    peer.scores = [0.1]
    assert command("--rescore", "--address", address) == 5
    assert "windows differ" in capsys.readouterr().out
    assert command("--rescore", "--address", "127.0.0.1:1", "--timeout", "1") == 4
    assert command("--rescore", "--address", "http://127.0.0.1:1") == 2
    peer.failures.append(Failure(grpc.StatusCode.INVALID_ARGUMENT, "too long", "too_large"))
    assert command("--rescore", "--address", address) == 5, "asking again does not help"
    assert "not scored again: too long" in capsys.readouterr().out
    peer.scores = [0.1, 0.6]
    (tmp_path / "call.jws").write_text(signer.record(MEDIA, hop_seconds=2.0))
    assert command("--rescore", "--address", address) == 0
    assert peer.calls[-1].parts[0].hop_seconds == 2.0
    assert peer.calls[-1].parts[0].channel_mode == "mix"  # of a release that averaged channels
    (tmp_path / "call.jws").write_text(signer.record(MEDIA, channel_mode="separate", channel="1"))
    assert command("--rescore", "--address", address) == 0
    assert peer.calls[-1].parts[0].channel_mode == "separate"
    (tmp_path / "call.jws").write_text(signer.record(MEDIA, source="live"))
    assert command("--rescore", "--address", address) == 5
