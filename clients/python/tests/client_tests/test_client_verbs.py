"""Every verb of both clients, when all is well."""

from pathlib import Path

import pytest

from bonafide_client import (
    AsyncBonafideClient,
    AudioReport,
    BonafideClient,
    ChunkScore,
    FaceBox,
    FaceReport,
    Internal,
    ModelIdentity,
    ModelStatus,
    Stretch,
)
from bonafide_client.aio_jobs import AsyncJobs
from bonafide_client.jobs import Jobs

from .conftest import Twin
from .peer import NOT_SERVING, REQUEST_ID, Peer

CHUNKS = (
    ChunkScore("chunk_0", 0.1, "bonafide", 0.0, 4.0, speech_ratio=0.75),
    ChunkScore("chunk_1", 0.9, "spoof", 4.0, 8.0, speech_ratio=0.75),
)
REPORT = AudioReport(
    label="spoof",
    score=0.5,
    threshold=0.5,
    chunks=CHUNKS,
    audio_seconds=8.0,
    model=ModelIdentity("wavlm-peer", "v1", demo=True),
    request_id=REQUEST_ID,
    error_message="",
    warnings=("the file is truncated",),
    suspicious=(Stretch(4.0, 8.0, 0.9),),
    speech_seconds=6.0,
)


@pytest.fixture(autouse=True)
def _answers(peer: Peer) -> None:
    peer.scores = [0.1, 0.9]
    peer.voice.warnings.append("the file is truncated")


async def test_analyze_object(twin: Twin, peer: Peer) -> None:
    assert await twin.ask("analyze_object", "calls", "a/b.wav", task_id="t-1") == REPORT
    request = peer.calls[0].request
    assert (request.minio_bucket_name, request.minio_object_key, request.task_id) == ("calls", "a/b.wav", "t-1")


async def test_iter_object_yields_chunks_then_the_report(twin: Twin, peer: Peer) -> None:
    events = await twin.ask("iter_object", "calls", "a.wav", task_id="t-2")
    assert events == [*CHUNKS, REPORT]
    assert [event.total_chunks for event in events[:-1]] == [2, 2]
    assert peer.calls[0].request.task_id == "t-2"


async def test_what_has_no_speech_has_no_score(twin: Twin, peer: Peer) -> None:
    peer.scores = [None, 0.1, None]
    report = await twin.ask("analyze_object", "calls", "a.wav")
    assert [(chunk.score, chunk.label, chunk.speech_ratio) for chunk in report.chunks] == [
        (None, "no_speech", 0.0),
        (0.1, "bonafide", 0.75),
        (None, "no_speech", 0.0),
    ]
    assert (report.score, report.label, report.suspicious, report.speech_seconds) == (0.1, "bonafide", (), 3.0)
    peer.scores = [None]
    report = await twin.ask("analyze_file", b"silence")
    assert (report.score, report.label, report.is_spoof) == (None, "no_speech", False)


async def test_a_service_that_knows_nothing_of_speech_leaves_out_zeros(twin: Twin, peer: Peer) -> None:
    peer.without_zeros = True
    peer.scores = [0.0]
    report = await twin.ask("analyze_object", "calls", "a.wav")
    assert (report.score, report.label, report.chunks[0].score) == (0.0, "bonafide", 0.0)


async def test_analyze_file_from_a_path(twin: Twin, peer: Peer, tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000  # three parts, the last one not full
    path = tmp_path / "call.wav"
    path.write_bytes(data)
    assert await twin.ask("analyze_file", path, task_id="t-3") == REPORT
    parts = peer.calls[0].parts
    assert b"".join(part.data for part in parts) == data
    assert [len(part.data) for part in parts] == [262144, 262144, 243712]
    assert [part.task_id for part in parts] == ["t-3", "", ""]


async def test_predict_liveness(twin: Twin, peer: Peer) -> None:
    assert await twin.ask("predict_liveness", b"photo") == FaceReport(
        label="live",
        score=0.1,
        confidence=0.9,
        threshold=0.5,
        model=ModelIdentity("dino-peer", "v2", demo=False),
        request_id=REQUEST_ID,
        calibrated=True,
    )
    assert peer.calls[0].request.image_data == b"photo"


async def test_predict_liveness_of_a_fake(twin: Twin, peer: Peer, tmp_path: Path) -> None:
    peer.scores = [0.875]
    path = tmp_path / "face.jpg"
    path.write_bytes(b"x" * 300_000)
    report = await twin.ask("predict_liveness", path)
    assert (report.label, report.is_live, report.score, report.confidence) == ("fake", False, 0.875, 0.875)
    assert (report.reason, report.faces) == ("", ())
    assert len(peer.calls[0].request.image_data) == 300_000


async def test_why_not_to_rely_on_a_verdict_and_where_the_faces_are(twin: Twin, peer: Peer) -> None:
    peer.face.reason = "several_faces"
    peer.face.faces.add(left=0.1, top=0.2, width=0.3, height=0.4, confidence=0.95)
    peer.face.faces.add(left=0.6, top=0.2, width=0.2, height=0.25, confidence=0.9)
    report = await twin.ask("predict_liveness", b"photo")
    assert report.reason == "several_faces"
    assert report.faces == (FaceBox(0.1, 0.2, 0.3, 0.4, 0.95), FaceBox(0.6, 0.2, 0.2, 0.25, 0.9))


async def test_an_ensemble_has_its_members_scores(twin: Twin, peer: Peer) -> None:
    peer.voice.member_scores.update({"b": 0.75, "a": 0.1})
    peer.face.member_scores.update({"a": 0.2})
    report = await twin.ask("analyze_object", "calls", "a.wav")
    assert list(report.member_scores.items()) == [("a", 0.1), ("b", 0.75)]
    assert (await twin.ask("predict_liveness", b"photo")).member_scores == {"a": 0.2}
    peer.voice.member_scores["b"] = 1.5
    with pytest.raises(Internal, match="score"):
        await twin.ask("analyze_object", "calls", "a.wav")


async def test_the_two_status_calls(twin: Twin) -> None:
    assert await twin.ask("voice_status") == ModelStatus(
        "loaded", True, ModelIdentity("wavlm-peer", "v1", True), "wavlm", "bundled", "torch", "cpu", "fp32", 0.5
    )
    assert await twin.ask("face_status") == ModelStatus(
        "loaded", True, ModelIdentity("dino-peer", "v2", False), "dinov2", "bundled", "torch", "cpu", "fp32", 0.5
    )


async def test_health(twin: Twin, peer: Peer) -> None:
    assert await twin.ask("health") == "SERVING"
    peer.health.set("audioanalyzer.AudioAnalysis", NOT_SERVING)
    assert await twin.ask("health", "audioanalyzer.AudioAnalysis") == "NOT_SERVING"


async def test_a_photo_of_16_mib_passes(twin: Twin, peer: Peer) -> None:
    await twin.ask("predict_liveness", b"x" * (16 * 2**20))
    assert len(peer.calls[0].request.image_data) == 16 * 2**20


async def test_every_call_has_the_key_and_names_the_client(address: str, peer: Peer) -> None:
    with BonafideClient(address, api_key="s3cret") as client:
        client.analyze_object("b", "k")
        list(client.iter_object("b", "k"))
        client.analyze_file(b"x")
        client.predict_liveness(b"x")
        client.voice_status()
        client.face_status()
    async with AsyncBonafideClient(address, api_key="s3cret") as aclient:
        await aclient.analyze_object("b", "k")
        assert [event async for event in aclient.iter_object("b", "k")]
        await aclient.analyze_file(b"x")
        await aclient.predict_liveness(b"x")
        await aclient.voice_status()
        await aclient.face_status()
    assert len(peer.calls) == 12
    assert {call.metadata["authorization"] for call in peer.calls} == {"Bearer s3cret"}
    assert all(str(call.metadata["user-agent"]).startswith("bonafide-client/") for call in peer.calls)


async def test_a_client_may_be_made_before_the_loop_runs_and_closed_unused(address: str) -> None:
    await AsyncBonafideClient(address).close()
    BonafideClient(address).close()


@pytest.mark.parametrize(("one", "other"), [(BonafideClient, AsyncBonafideClient), (Jobs, AsyncJobs)])
def test_the_twins_have_the_same_verbs_and_arguments(one: type, other: type) -> None:
    import inspect

    verbs = [name for name in vars(one) if not name.startswith("_")]
    assert verbs == [name for name in vars(other) if not name.startswith("_")]
    for name in set(verbs) - {"address", "jobs"}:
        blocking, asynchronous = (inspect.signature(getattr(client, name)) for client in (one, other))
        assert blocking.parameters == asynchronous.parameters, name
