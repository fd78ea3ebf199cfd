"""Jobs over both clients and the command, against a peer that keeps one job."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from bonafide_client import AsyncBonafideClient, BonafideClient, FaceReport, Internal, ObjectNotFound, UnreadableMedia
from bonafide_client.cli import main
from bonafide_client.proto import audio_analyzer_pb2 as audio
from bonafide_client.proto import jobs_pb2 as messages
from bonafide_client.proto import jobs_pb2_grpc as stubs
from bonafide_client.proto import liveness_api_pb2 as liveness


class JobPeer(stubs.JobsServicer):
    """Each time it is asked, one more of two recordings is judged; the second is unreadable."""

    def __init__(self) -> None:
        self.wanted: list[messages.CreateJobRequest] = []
        self.asked = 0
        self.state = "waiting"
        self.photos: list[messages.JobResult] = []
        self.torn = False
        self.limits: list[float] = []

    def _job(self) -> messages.Job:
        judged = min(2, self.asked)
        state = self.state if self.state == "cancelled" else ("waiting", "running", "done")[judged]
        started_at = 2.0 if judged else None
        return messages.Job(
            id="j1",
            state=state,
            bucket="calls",
            total=2,
            done=int(judged > 0),
            failed=int(judged > 1),
            created_at=1.0,
            started_at=started_at,
        )

    def Create(self, request: messages.CreateJobRequest, context: Any) -> messages.Job:
        self.wanted.append(request)
        return self._job()

    def Get(self, request: messages.GetJobRequest, context: Any) -> messages.Job:
        if request.id != "j1":
            context.set_trailing_metadata((("bonafide-error-code", "object_not_found"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no job")
        self.asked += 1
        self.limits.append(context.time_remaining())
        return self._job()

    def Cancel(self, request: messages.CancelJobRequest, context: Any) -> messages.Job:
        self.state = "cancelled"
        return self._job()

    def Results(self, request: messages.JobResultsRequest, context: Any) -> Iterator[messages.JobResult]:
        verdict = audio.AnalyzeAudioResponse(label="spoof", score=0.9, threshold=0.5)
        found = [
            messages.JobResult(index=1, bucket="calls", key="b.wav", verdict=verdict),
            messages.JobResult(
                index=0, bucket="calls", key="a.wav", error=messages.JobError(code="unreadable_media", message="x")
            ),
        ]
        yield from self.photos or found[request.after :]
        if self.torn:
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


@pytest.fixture
def jobs_peer() -> JobPeer:
    return JobPeer()


@pytest.fixture
def jobs_address(jobs_peer: JobPeer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_JobsServicer_to_server(jobs_peer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_the_blocking_client(jobs_address: str, jobs_peer: JobPeer) -> None:
    with BonafideClient(jobs_address) as client:
        job = client.jobs.create("calls", prefix="", idempotency_key="k", priority="high")
        assert (job.id, job.total, job.started_at, job.has_ended) == ("j1", 2, None, False)
        (wanted,) = jobs_peer.wanted
        assert (wanted.HasField("prefix"), wanted.idempotency_key, wanted.priority) == (True, "k", "high")
        seen: list[str] = []
        ended = client.jobs.wait("j1", every_s=0.01, on_progress=lambda each: seen.append(each.state))
        assert (seen, ended.done, ended.failed) == (["running", "done"], 1, 1)
        verdict, failed = client.jobs.results("j1")
        assert (verdict.key, verdict.index) == ("b.wav", 1)
        assert not isinstance(verdict.result, Exception)
        assert verdict.result.label == "spoof"
        assert isinstance(failed.result, UnreadableMedia)
        assert len(list(client.jobs.results("j1", after=1))) == 1
        with pytest.raises(ObjectNotFound):
            client.jobs.get("other")
        assert client.jobs.cancel("j1").state == "cancelled"


async def test_the_asyncio_client(jobs_address: str, jobs_peer: JobPeer) -> None:
    async with AsyncBonafideClient(jobs_address) as client:
        assert (await client.jobs.create("calls", keys=["a.wav", "b.wav"])).state == "waiting"
        assert not jobs_peer.wanted[0].HasField("prefix")
        assert (await client.jobs.wait("j1", every_s=0.01)).state == "done"
        assert [each.key async for each in client.jobs.results("j1")] == ["b.wav", "a.wav"]
        with pytest.raises(ObjectNotFound):
            await client.jobs.get("other")
        assert (await client.jobs.cancel("j1")).state == "cancelled"


def of_photo(**fields: Any) -> messages.JobResult:
    verdict = liveness.LivenessResponse(
        probabilities=liveness.LivenessProbabilities(fake=0.9, live=0.1), request_id="r", threshold=0.5, **fields
    )
    return messages.JobResult(index=0, bucket="photos", key="a.jpg", photo=verdict)


def test_photos(jobs_address: str, jobs_peer: JobPeer, capsys: pytest.CaptureFixture[str]) -> None:
    jobs_peer.photos = [of_photo(success=True, predicted_class="fake", confidence=0.9)]
    with BonafideClient(jobs_address) as client:
        assert client.jobs.create("photos", prefix="", task="face").task == "voice"  # an older service says nothing
        assert jobs_peer.wanted[0].task == "face"
        (judged,) = client.jobs.results("j1")
        assert isinstance(judged.result, FaceReport)
        assert (judged.result.label, judged.result.score) == ("fake", 0.9)
    words = ["jobs", "create", "--bucket", "photos", "--prefix", "", "--task", "face", "--address", jobs_address]
    assert main(words) == 0
    assert jobs_peer.wanted[1].task == "face"
    capsys.readouterr()
    assert main(["jobs", "results", "j1", "--json", "--address", jobs_address]) == 1
    assert json.loads(capsys.readouterr().out)["predicted_class"] == "fake"
    assert main(["jobs", "results", "j1", "--address", jobs_address]) == 1
    assert "FAKE" in capsys.readouterr().out


def test_the_command(jobs_address: str, jobs_peer: JobPeer, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> tuple[int, str]:
        code = main(["jobs", *words, "--address", jobs_address])
        return code, capsys.readouterr().out

    assert run("create", "--bucket", "calls", "--prefix", "2024/") == (0, "j1\n")
    assert run("status", "j1") == (0, "j1 running: 1 of 2 judged\n")
    code, out = run("wait", "j1", "--json")
    assert (code, json.loads(out)["state"]) == (3, "done")
    code, out = run("results", "j1", "--json")
    assert code == 1
    assert [json.loads(line)["key"] for line in out.splitlines()] == ["b.wav", "a.wav"]
    assert run("status", "other")[0] == 3
    assert run("cancel", "j1") == (0, "j1 cancelled: 1 of 2 judged, 1 failed\n")


@pytest.mark.parametrize(
    ("stdin", "keys"),
    [
        (b"\xef\xbb\xbfa.wav\r\n\r\n  \nb c.wav\r\n", ["a.wav", "b c.wav", "z.wav"]),
        ("д/1.wav\nx\u2028y\x85".encode(), ["д/1.wav", "x\u2028y\x85", "z.wav"]),
        (b"a.wav\n\n\xff\n", None),
    ],
)
def test_a_list_from_standard_input(
    jobs_address: str,
    jobs_peer: JobPeer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    stdin: bytes,
    keys: list[str] | None,
) -> None:
    (tmp_path / "list").write_bytes(stdin)
    with (tmp_path / "list").open(encoding="ascii") as listed:
        monkeypatch.setattr("sys.stdin", listed)
        code = main(["jobs", "create", "--bucket", "calls", "-", "z.wav", "--address", jobs_address])
    if keys is None:
        assert (code, jobs_peer.wanted) == (2, [])
        assert "line 3" in capsys.readouterr().err
    else:
        assert (code, list(jobs_peer.wanted[0].keys)) == (0, keys)


def test_a_spoof_is_found_although_the_results_break_off(
    jobs_address: str, jobs_peer: JobPeer, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs_peer.torn = True
    assert main(["jobs", "results", "j1", "--address", jobs_address]) == 1
    assert "j1: unavailable: gone" in capsys.readouterr().err
    assert main(["jobs", "results", "j1", "--after", "1", "--address", jobs_address]) == 4


@pytest.mark.parametrize(("state", "asked", "code"), [("", 0, 3), ("cancelled", 2, 3), ("", 2, 0)])
def test_results_are_no_success_while_objects_have_no_verdict(
    jobs_address: str, jobs_peer: JobPeer, capsys: pytest.CaptureFixture[str], state: str, asked: int, code: int
) -> None:
    verdict = audio.AnalyzeAudioResponse(label="bonafide", score=0.1, threshold=0.5)
    jobs_peer.photos = [messages.JobResult(index=0, bucket="calls", key="a.wav", verdict=verdict)]
    jobs_peer.state, jobs_peer.asked = state, asked
    assert main(["jobs", "results", "j1", "--address", jobs_address]) == code
    assert ("of 2 judged" in capsys.readouterr().err) == (code == 3)


def test_a_result_that_cannot_be_understood_is_an_error_of_it_alone(jobs_address: str, jobs_peer: JobPeer) -> None:
    jobs_peer.photos = [
        of_photo(success=True, predicted_class="replayed"),
        of_photo(success=True, predicted_class="fake", confidence=0.9),
    ]
    with BonafideClient(jobs_address) as client:
        strange, fake = client.jobs.results("j1")
    assert isinstance(strange.result, Internal)
    assert isinstance(fake.result, FaceReport)


def test_whoever_waits_says_for_how_long_each_call(jobs_address: str, jobs_peer: JobPeer) -> None:
    assert main(["jobs", "wait", "j1", "--timeout", "300", "--address", jobs_address]) == 3
    assert min(jobs_peer.limits) > 200


@pytest.mark.parametrize(
    "words",
    [
        ["create", "--bucket", "calls"],
        ["create", "a.wav"],
        ["create", "--bucket", "calls", "\udcff.wav"],
        ["results", "j1", "--after", "-1"],
        ["results", "j1", "--after", "4294967296"],
        ["status"],
        [],
    ],
)
def test_wrong_command_lines(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["jobs", *words])
    assert ended.value.code == 2
