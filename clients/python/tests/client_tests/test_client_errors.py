"""Every row of the service's error table, by every way that an error can come."""

import grpc
import pytest

import bonafide_client
from bonafide_client import (
    BonafideError,
    DeadlineExceeded,
    Forbidden,
    Internal,
    InvalidRequest,
    ObjectNotFound,
    Overloaded,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnreadableMedia,
)

from .conftest import Twin
from .peer import REQUEST_ID, Failure, Peer

Status = grpc.StatusCode

TABLE = [
    ("invalid_request", Status.INVALID_ARGUMENT, InvalidRequest),
    ("unreadable_media", Status.INVALID_ARGUMENT, UnreadableMedia),
    ("too_large", Status.INVALID_ARGUMENT, TooLarge),
    ("object_not_found", Status.NOT_FOUND, ObjectNotFound),
    ("forbidden", Status.PERMISSION_DENIED, Forbidden),
    ("unauthenticated", Status.UNAUTHENTICATED, Unauthenticated),
    ("overloaded", Status.RESOURCE_EXHAUSTED, Overloaded),
    ("unavailable", Status.UNAVAILABLE, Unavailable),
    ("deadline_exceeded", Status.DEADLINE_EXCEEDED, DeadlineExceeded),
    ("internal", Status.INTERNAL, Internal),
]
CALLS = [
    ("analyze_object", ("b", "k")),
    ("iter_object", ("b", "k")),
    ("analyze_file", (b"x",)),
    ("predict_liveness", (b"x",)),
]


@pytest.mark.parametrize(("code", "status", "kind"), TABLE)
async def test_every_code_on_every_call(
    twin: Twin, peer: Peer, code: str, status: grpc.StatusCode, kind: type[BonafideError]
) -> None:
    for verb, args in CALLS[2:] if status is Status.UNAVAILABLE else CALLS:  # it takes 3 s to give up
        peer.failures.extend([Failure(status, "why", code)] * 5)
        with pytest.raises(kind) as caught:
            await twin.ask(verb, *args)
        peer.failures.clear()
        error = caught.value
        assert type(error) is kind
        assert (error.code, error.grpc_status, error.message) == (code, status, "why")
        assert str(error) == "why"
        assert error.request_id == REQUEST_ID


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, kind) for code, status, kind in TABLE if code not in ("unreadable_media", "too_large")]
    + [(Status.CANCELLED, Unavailable), (Status.UNKNOWN, Internal), (Status.UNIMPLEMENTED, Internal)],
)
async def test_a_status_without_a_code_as_a_proxy_gives_it(
    twin: Twin, peer: Peer, status: grpc.StatusCode, kind: type[BonafideError]
) -> None:
    for verb, args in CALLS[2:] if status is Status.UNAVAILABLE else CALLS:
        peer.failures.extend([Failure(status)] * 5)
        with pytest.raises(BonafideError) as caught:
            await twin.ask(verb, *args)
        peer.failures.clear()
        assert type(caught.value) is kind
        assert caught.value.code == kind.code


async def test_a_code_from_the_future_keeps_its_name(twin: Twin, peer: Peer) -> None:
    peer.failures.append(Failure(Status.INVALID_ARGUMENT, code="too_boring"))
    with pytest.raises(InvalidRequest) as caught:
        await twin.ask("analyze_object", "b", "k")
    assert caught.value.code == "too_boring"


@pytest.mark.parametrize(
    ("sent", "read"), [("2.5", 2.5), ("0", 0.0), ("", None), ("soon", None), ("nan", None), ("-1", None)]
)
async def test_overload_says_when_to_come_again(twin: Twin, peer: Peer, sent: str, read: float | None) -> None:
    peer.failures.append(Failure(Status.RESOURCE_EXHAUSTED, code="overloaded", retry_after_s=sent))
    with pytest.raises(Overloaded) as caught:
        await twin.ask("predict_liveness", b"x")
    assert caught.value.retry_after_s == read
    assert caught.value.retryable


async def test_a_message_over_the_limit_is_too_large_and_not_overload(twin: Twin) -> None:
    with pytest.raises(TooLarge) as caught:
        await twin.ask("predict_liveness", b"x" * (17 * 2**20))
    assert caught.value.grpc_status is Status.RESOURCE_EXHAUSTED
    assert not caught.value.retryable


async def test_a_photo_that_would_fill_the_memory_is_not_read(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bonafide_client.media, "MAX_PHOTO_BYTES", 300_000)
    with pytest.raises(TooLarge), open("/dev/zero", "rb") as endless:  # noqa: PTH123, ASYNC230
        await twin.ask("predict_liveness", endless)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_request", InvalidRequest),
        ("unreadable_media", UnreadableMedia),
        ("too_large", TooLarge),
        ("", UnreadableMedia),
    ],
)
async def test_a_bad_image_comes_with_status_ok(twin: Twin, peer: Peer, code: str, kind: type[BonafideError]) -> None:
    peer.face.success = False
    peer.face.predicted_class = "error"
    peer.face.error_message = "no image in these bytes"
    peer.face.error_code = code
    with pytest.raises(kind, match="no image in these bytes") as caught:
        await twin.ask("predict_liveness", b"x")
    error = caught.value
    assert (type(error), error.code) == (kind, kind.code)
    assert (error.grpc_status, error.request_id) == (Status.OK, REQUEST_ID)


@pytest.mark.parametrize("label", ["", "Bonafide", "live", "real"])
async def test_a_label_that_is_not_known_is_never_taken_for_a_verdict(twin: Twin, peer: Peer, label: str) -> None:
    peer.voice.label = label or "x"
    for verb, args in CALLS[:3]:
        with pytest.raises(Internal, match="label"):
            await twin.ask(verb, *args)


async def test_a_score_for_what_has_no_speech_is_refused(twin: Twin, peer: Peer) -> None:
    peer.voice.label = "no_speech"
    for verb, args in CALLS[:3]:
        with pytest.raises(Internal, match="no speech"):
            await twin.ask(verb, *args)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
async def test_a_score_that_is_no_probability_is_refused(twin: Twin, peer: Peer, score: float) -> None:
    peer.scores = [score]
    peer.face.predicted_class = "fake"
    peer.face.probabilities.fake = score
    for verb, args in CALLS:
        with pytest.raises(Internal, match="score"):
            await twin.ask(verb, *args)


@pytest.mark.parametrize(("is_live", "predicted"), [(True, "fake"), (False, "live"), (True, "error"), (True, "spoof")])
async def test_a_face_verdict_that_contradicts_itself_is_refused(
    twin: Twin, peer: Peer, is_live: bool, predicted: str
) -> None:
    peer.face.is_live, peer.face.predicted_class = is_live, predicted
    with pytest.raises(Internal, match="is_live"):
        await twin.ask("predict_liveness", b"x")


async def test_an_unreachable_service(twin: Twin, peer: Peer) -> None:
    client = type(twin.client)("127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        await Twin(client).ask("analyze_file", b"x")
    assert caught.value.request_id == ""
    assert "127.0.0.1:1" in caught.value.message
    if isinstance(client, bonafide_client.AsyncBonafideClient):
        await client.close()
    else:
        client.close()
