"""The way to the service: retries, deadlines, keepalive, TLS, the key and the environment."""

import asyncio
import io
import socket
import threading
import time
from pathlib import Path

import grpc
import pytest

from bonafide_client import (
    AsyncBonafideClient,
    AudioDetectionClient,
    BonafideClient,
    DeadlineExceeded,
    Tls,
    Unavailable,
)

from .conftest import Twin
from .peer import Failure, Peer, start

GONE = Failure(grpc.StatusCode.UNAVAILABLE, "gone")
RETRIED = [
    ("analyze_object", ("b", "k")),
    ("iter_object", ("b", "k")),
    ("predict_liveness", (b"x" * (16 * 2**20),)),
    ("voice_status", ()),
    ("face_status", ()),
]


@pytest.mark.parametrize(("verb", "args"), RETRIED, ids=[verb for verb, _ in RETRIED])
async def test_unavailable_twice_then_ok(twin: Twin, peer: Peer, verb: str, args: tuple[object, ...]) -> None:
    peer.failures.extend([GONE, GONE])
    assert await twin.ask(verb, *args)
    assert len(peer.calls) == 3


async def test_retries_end(twin: Twin, peer: Peer) -> None:
    peer.failures.extend([GONE] * 9)
    with pytest.raises(Unavailable):
        await twin.ask("analyze_object", "b", "k")
    assert len(peer.calls) == 5


@pytest.mark.parametrize("status", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL])
async def test_other_errors_are_not_retried(twin: Twin, peer: Peer, status: grpc.StatusCode) -> None:
    peer.failures.append(Failure(status))
    with pytest.raises(Exception, match="as told"):
        await twin.ask("analyze_object", "b", "k")
    assert len(peer.calls) == 1


async def test_an_upload_is_not_retried(twin: Twin, peer: Peer) -> None:
    peer.failures.append(GONE)
    with pytest.raises(Unavailable):
        await twin.ask("analyze_file", b"x")
    assert len(peer.calls) == 1


@pytest.mark.parametrize("kind", [BonafideClient, AsyncBonafideClient])
async def test_all_addresses_of_a_name_are_called_in_turn(
    kind: type[BonafideClient | AsyncBonafideClient], peer: Peer, address: str
) -> None:
    other = Peer()
    server, other_address = start(other)
    client = kind(f"ipv4:{address},{other_address}")
    try:
        async with asyncio.timeout(30):  # until both are connected
            while not (peer.calls and other.calls):
                await Twin(client).ask("voice_status")
        peer.calls.clear()
        other.calls.clear()
        for _ in range(10):
            await Twin(client).ask("voice_status")
    finally:
        if isinstance(client, BonafideClient):
            client.close()
        else:
            await client.close()
        server.stop(None).wait()
    assert (len(peer.calls), len(other.calls)) == (5, 5)


async def test_a_service_that_starts_a_second_later_is_found(twin: Twin, peer: Peer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    servers: list[grpc.Server] = []
    timer = threading.Timer(1.0, lambda: servers.append(start(peer, address)[0]))
    timer.start()
    late = type(twin.client)(address)
    try:
        assert await Twin(late).ask("voice_status")
    finally:
        timer.join()
        servers[0].stop(None).wait()
        if isinstance(late, AsyncBonafideClient):
            await late.close()
        else:
            late.close()


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("analyze_object", ("b", "k")),
        ("iter_object", ("b", "k")),
        ("analyze_file", (b"x",)),
        ("predict_liveness", (b"x",)),
    ],
)
async def test_the_deadline_ends_the_call_on_both_sides(
    twin: Twin, peer: Peer, verb: str, args: tuple[object, ...]
) -> None:
    peer.delay_s = 60
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        await twin.ask(verb, *args, timeout_s=0.3)
    assert time.monotonic() - before < 5
    assert caught.value.code == "deadline_exceeded"
    assert peer.calls[0].ended.wait(5)


async def test_default_deadlines(twin: Twin, peer: Peer) -> None:
    for verb, args, expected in [
        ("analyze_object", ("b", "k"), 600.0),
        ("iter_object", ("b", "k"), 600.0),
        ("analyze_file", (b"x",), 600.0),
        ("predict_liveness", (b"x",), 30.0),
        ("voice_status", (), 10.0),
        ("face_status", (), 10.0),
    ]:
        await twin.ask(verb, *args)
        assert peer.calls[-1].timeout_s == pytest.approx(expected, abs=5)
        await twin.ask(verb, *args, timeout_s=None)
        remaining = peer.calls[-1].timeout_s
        assert remaining is None or remaining > 1e6


class _Slow(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.3)
        return super().read(size)


async def test_the_time_for_a_photo_counts_its_reading_once(address: str, peer: Peer) -> None:
    async with AsyncBonafideClient(address) as client:
        await client.predict_liveness(_Slow(b"photo"), timeout_s=20.0)
    left_s = peer.calls[0].timeout_s
    assert left_s is not None
    assert left_s < 19.5


@pytest.mark.slow
async def test_mutual_tls(peer: Peer, certificates: Path) -> None:
    key, cert = ((certificates / name).read_bytes() for name in ("own.key", "own.pem"))
    server, address = start(peer, credentials=grpc.ssl_server_credentials([(key, cert)], cert, True))
    try:
        tls = Tls(certificates / "own.pem", certificates / "own.pem", str(certificates / "own.key"))
        with BonafideClient(address, tls=tls) as client:
            assert client.voice_status().is_loaded
        async with AsyncBonafideClient(address, tls=tls) as aclient:
            assert (await aclient.voice_status()).is_loaded

        def refused(wrong: Tls | None) -> None:
            with BonafideClient(address, tls=wrong) as client, pytest.raises(Unavailable):
                client.voice_status()

        # At the same time, since each tries again for seconds.
        wrongs = (None, Tls(), Tls(certificates / "other.pem"), Tls(certificates / "own.pem"))
        await asyncio.gather(*(asyncio.to_thread(refused, wrong) for wrong in wrongs))
    finally:
        server.stop(None).wait()


def test_what_can_never_work_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        Tls(cert="a.pem")
    with pytest.raises(OSError, match=r"none\.pem"):
        BonafideClient(tls=Tls(ca=tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="host:port"):
        BonafideClient("http://localhost:3000")
    for key in ("two\nlines", "Schlüssel", "a b"):
        with pytest.raises(ValueError, match="API key") as caught:
            AsyncBonafideClient(api_key=key)
        assert key not in str(caught.value)


def test_a_file_that_is_no_certificate_or_key_is_named(tmp_path: Path, certificates: Path) -> None:
    """Calls would be tried again, as if the service were not reached."""
    certificate, key, other = certificates / "own.pem", certificates / "own.key", tmp_path / "other.pem"
    other.write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    for tls, told in (
        (Tls(ca=key), "own.key holds no certificate"),
        (Tls(cert=key, key=certificate), "own.key holds no certificate"),
        (Tls(cert=certificate, key=certificate), "own.pem holds no private key"),
        (Tls(cert=certificate, key=other), "other.pem has a passphrase"),
    ):
        with pytest.raises(ValueError, match=told):
            BonafideClient(tls=tls)
    with pytest.raises(ValueError, match=r"own\.key holds no certificate"):
        AudioDetectionClient("wss://127.0.0.1/ws/detect", tls=Tls(ca=key))


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, address: str, peer: Peer) -> None:
    with BonafideClient() as client:
        assert client.address == "127.0.0.1:50051"
    monkeypatch.setenv("BONAFIDE_ADDRESS", address)
    monkeypatch.setenv("BONAFIDE_API_KEY", "from-env")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with BonafideClient() as client:
        client.voice_status()
    with BonafideClient(api_key="") as client:
        client.voice_status()
    assert [call.metadata.get("authorization") for call in peer.calls] == ["Bearer from-env", None]


def test_a_key_travels_to_this_machine_or_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    for foreign in (
        "bank.example:50051",
        "localhost.bank.example:1",
        "127.0.0.1.bank.example:1",
        "dns://10.0.0.1/localhost:1",
        "ipv6:[::1]:1,[fe80::1]:1",
    ):
        for client in (BonafideClient, AsyncBonafideClient):
            with pytest.raises(ValueError, match="unencrypted") as caught:
                client(foreign, api_key="s3cret")
            assert "s3cret" not in str(caught.value)
    for local in (
        "localhost:1",
        "127.0.0.1:1",
        "[::1]:1",
        "unix:/run/bonafide.sock",
        "dns:///localhost:1",
        "dns:localhost:1",
    ):
        BonafideClient(local, api_key="s3cret").close()
    BonafideClient("bank.example:50051", api_key="s3cret", tls=Tls()).close()
    BonafideClient("bank.example:50051", api_key="s3cret", key_in_clear=True).close()
    BonafideClient("bank.example:50051").close()
    monkeypatch.setenv("BONAFIDE_API_KEY", "from-env")
    with pytest.raises(ValueError, match="unencrypted"):
        BonafideClient("bank.example:50051")
    BonafideClient("bank.example:50051", api_key="").close()


def test_the_key_is_in_no_representation(address: str) -> None:
    with BonafideClient(address, api_key="s3cret") as client:
        assert "s3cret" not in repr(client) + repr(client._connection)


@pytest.mark.slow
async def test_pings_keep_a_silent_call_alive(peer: Peer) -> None:
    server, address = start(peer, options=(("grpc.http2.min_ping_interval_without_data_ms", 500),))
    peer.delay_s = 8
    try:
        with BonafideClient(address, keepalive_s=1.0) as client:
            assert client.analyze_object("b", "k").label == "bonafide"
    finally:
        server.stop(None).wait()
