"""`/ws/detect` through a real port: the old protocol, its options, and what is wrong in a frame."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.bonafide.api.socket_messages import chunk, frame
from tests.bonafide.api.socket_server import client, socket_server
from tests.bonafide.fakes import LocalRemote
from tests.bonafide.live.conversation import level
from tests.media import encode, speech_like


async def test_what_an_old_client_does() -> None:
    async with socket_server() as server, client(server.url) as old:
        hello = await old.ask(frame("connect", client_id="old-1"))
        assert (hello.type, hello.client_id) == ("connected", "old-1")
        for form in ("base64", "json", "string"):
            assert (await old.ask(chunk(0.75, 0.5, form))).type == "buffering"
            found = await old.ask(chunk(0.75, 0.5, form))
            assert (found.result.label, found.result.is_spoof) == ("spoof", True)
            assert found.result.score == found.result.all_scores.spoof == pytest.approx(0.75, abs=0.01)
            assert np.exp(found.result.logits) == pytest.approx([0.75, 0.25], abs=0.01)
        found = await old.ask(chunk(0.25))
        assert (found.result.label, found.result.is_spoof) == ("bonafide", False)
        assert found.result.score == found.result.all_scores.bonafide == pytest.approx(0.75, abs=0.01)
        assert (await old.ask(frame("ping"))).type == "pong"
        stats = (await old.ask(frame("stats"))).stats
        assert (stats.total_messages, stats.total_detections, stats.audio_seconds) == (10, 4, 4.0)


@pytest.mark.parametrize("said", ["chunk", "config"])
@pytest.mark.parametrize("form", ["base64", "json", "string"])
async def test_text_audio_of_another_encoding(said: str, form: str) -> None:
    integers = (level(0.75) * 32_767).astype("<i2")
    data: dict[str, Any] = {
        "base64": base64.encodebytes(integers.tobytes()).decode(),
        "json": integers.tolist(),
        "string": json.dumps(integers.tolist()),
    }
    async with socket_server() as server, client(server.url) as old:
        if said == "config":
            await old.ask(frame("config", encoding="pcm16"))
        encoding = "pcm16" if said == "chunk" else form
        found = await old.ask(frame("audio_chunk", audio_data=data[form], sample_rate=16_000, encoding=encoding))
        assert found.result.p_spoof == pytest.approx(0.75, abs=0.01)
        assert (await old.ask(frame("audio_chunk", audio_data="AAA=", encoding="pcm16"))).type == "buffering"
        assert (await old.ask(frame("audio_chunk", audio_data="AAAA", encoding="pcm16"))).code == "invalid_request"
        assert (await old.ask(frame("audio_chunk", audio_data="AAAAAA==", encoding="float32"))).type == "buffering"


async def test_a_container_may_come_as_text() -> None:
    data = encode(speech_like(2.2, 48_000), 48_000, "webm")
    async with socket_server() as server, client(server.url) as recorder:
        await recorder.ask(frame("config", encoding="container"))
        for start in range(0, len(data), 2_000):
            part = "data:audio/webm;base64," + base64.b64encode(data[start : start + 2_000]).decode()
            answer = await recorder.ask(frame("audio_chunk", audio_data=part, encoding="base64"))
            assert answer.type in ("detection_result", "buffering")
        assert (await recorder.ask(frame("end"))).audio_seconds == pytest.approx(2.2, abs=0.1)


@pytest.mark.parametrize(("window_s", "overlap_s"), [(1.0, 0.0), (0.5, 0.0), (0.25, 0.0), (1.0, 0.5), (4.0, 0.0)])
@pytest.mark.parametrize("wait", [True, False], ids=["one by one", "all at once"])
async def test_half_second_chunks_get_one_answer_each(window_s: float, overlap_s: float, wait: bool) -> None:
    async with socket_server() as server, client(server.url) as old:
        await old.ask(frame("config", chunk_duration=window_s, overlap_duration=overlap_s))
        answers = []
        for _ in range(9):
            await old.send(chunk(0.7, 0.5))
            if wait:
                answers.append(await old.receive())
        answers += [await old.receive() for _ in range(9 - len(answers))]
        assert {answer.type for answer in answers} <= {"buffering", "detection_result"}
        judged = [window for answer in answers if answer.type == "detection_result" for window in answer.windows]
        hop_s = window_s - overlap_s
        assert [window.sequence for window in judged] == list(range(int((4.5 - window_s) / hop_s) + 1))
        assert (await old.ask(frame("ping"))).type == "pong"  # nothing else was said


async def test_a_frame_may_begin_with_a_byte_order_mark() -> None:
    async with socket_server() as server, client(server.url) as old:
        assert (await old.ask("\ufeff" + frame("ping"))).type == "pong"


async def test_one_frame_for_a_chunk_of_several_windows() -> None:
    async with socket_server() as server, client(server.url) as old:
        found = await old.ask(chunk(0.6, 3.5))
        assert [window.sequence for window in found.windows] == [0, 1, 2]
        assert found.result == found.windows[-1]
        rest = await old.ask(chunk(0.6, 0.25))
        assert (rest.type, rest.buffer_duration, rest.buffer_size) == ("buffering", 0.75, 12_000)


async def test_answers_come_in_the_order_of_the_frames() -> None:
    async with socket_server() as server, client(server.url) as fast:
        kinds = []
        for index in range(60):
            message, kind = (
                (chunk(0.5, 1.0), "detection_result"),
                (frame("ping"), "pong"),
                (chunk(0.5, 0.1), "buffering"),
                (frame("flush"), "buffering"),
                ("nonsense", "error"),
                (frame("config", chunk_duration=1.0 + 0.01 * (index % 2)), "config_updated"),
            )[index % 6]
            await fast.send(message)
            kinds.append(kind)
        seen = [(await fast.receive()).type for _ in kinds]
        assert {k: seen.count(k) for k in kinds} | {"detection_result": 0, "buffering": 0} == {
            k: kinds.count(k) for k in kinds
        } | {"detection_result": 0, "buffering": 0}
        fixed = [index for index, kind in enumerate(kinds) if kind in ("pong", "error", "config_updated")]
        assert [seen[index] for index in fixed] == [kinds[index] for index in fixed]


async def test_what_is_wrong_is_told_and_the_socket_stays_open() -> None:
    wrong = {
        "not json": "invalid_request",
        "[1, 2]": "invalid_request",
        frame("dance"): "invalid_request",
        frame("audio_chunk"): "invalid_request",
        frame("audio_chunk", audio_data="???"): "invalid_request",
        frame("audio_chunk", audio_data=[0.1], sample_rate=1): "invalid_request",
        frame("audio_chunk", audio_data=[1e10]): "unreadable_media",
        '{"type": "audio_chunk", "audio_data": [NaN]}': "unreadable_media",
        frame("config", chunk_duration=10): "invalid_request",
        frame("config", overlap_duration=1): "invalid_request",
        frame("config", sample_rate=44): "invalid_request",
        frame("config", encoding="mp3"): "invalid_request",
        frame(
            "audio_chunk", audio_data=base64.b64encode(bytes(8_000 * 61 * 4)).decode(), sample_rate=8_000
        ): "too_large",
    }
    async with socket_server(message_bytes=2**22) as server, client(server.url) as clumsy:
        for message, code in wrong.items():
            answer = await clumsy.ask(message)
            assert (answer.type, answer.code) == ("error", code), message[:80]
        assert (await clumsy.ask(b"\0\0\0\0")).code == "invalid_request"
        assert (await clumsy.ask(chunk(0.5))).type == "detection_result"


@pytest.mark.parametrize(
    ("encoding", "rate"), [("float32", 16_000), ("pcm16", 48_000), ("mulaw", 8_000)], ids=["float32", "pcm16", "mulaw"]
)
async def test_binary_frames(encoding: str, rate: int) -> None:
    silence = {"float32": b"\0\0\0\0", "pcm16": b"\0\0", "mulaw": b"\xff"}[encoding]
    loud = {"float32": np.float32(0.5).tobytes(), "pcm16": b"\0\x40", "mulaw": b"\x9f"}[encoding]
    data = (loud * (rate // 2) + silence * (rate - rate // 2)) * 2
    async with socket_server() as server, client(server.url) as binary:
        asked = {"encoding": encoding} if encoding == "mulaw" else {"encoding": encoding, "sample_rate": rate}
        in_force = (await binary.ask(frame("config", **asked))).config
        assert (in_force.sample_rate, in_force.encoding) == (rate, encoding)
        answers = [await binary.ask(data[start : start + 3_001]) for start in range(0, len(data), 3_001)]
        windows = [window for answer in answers if answer.type == "detection_result" for window in answer.windows]
        assert [window.p_spoof for window in windows] == pytest.approx([0.5, 0.5], abs=0.02)


@pytest.mark.parametrize("kind", ["webm", "opus"])
async def test_a_container_stream(kind: str) -> None:
    data = encode(speech_like(3.2, 48_000), 48_000, kind)
    async with socket_server() as server, client(server.url) as recorder:
        for _ in range(2):  # a second recording begins with its own header
            await recorder.ask(frame("config", encoding="container"))
            answers = [await recorder.ask(data[start : start + 2_000]) for start in range(0, len(data), 2_000)]
            assert {answer.type for answer in answers} == {"detection_result", "buffering"}
            (await recorder.ask(frame("flush")))
        summary = await recorder.ask(frame("end"))
        assert summary.audio_seconds == pytest.approx(6.4, abs=0.2)


async def test_a_broken_container_is_told_once_for_each_frame() -> None:
    async with socket_server() as server, client(server.url) as recorder:
        await recorder.ask(frame("config", encoding="container"))
        assert (await recorder.ask(b"RIFF" + bytes(100))).code == "unreadable_media"
        assert (await recorder.ask(bytes(100))).code == "invalid_request"
        await recorder.ask(frame("config", encoding="float32"))
        assert (await recorder.ask(level(0.5).tobytes())).type == "detection_result"


async def test_results_are_pushed_to_who_asks_for_it() -> None:
    async with socket_server() as server, client(server.url) as listener:
        await listener.ask(frame("config", results="push", encoding="float32"))
        for _ in range(10):
            await listener.send(level(0.7, 0.25).tobytes())
        first, second = await listener.receive(), await listener.receive()
        assert [window.sequence for window in first.windows + second.windows] == [0, 1]
        flushed = await listener.ask(frame("flush"))
        assert (flushed.result.start_time_seconds, flushed.result.end_time_seconds) == (1.5, 2.5)
        assert (await listener.ask(frame("ping"))).type == "pong"
        assert (await listener.ask(b"\xff" * 4)).code == "unreadable_media"
        summary = await listener.ask(frame("end"))
        assert (summary.type, summary.reason, len(summary.windows)) == ("summary", "end", 3)
        assert await listener.closed() == (1000, "")


async def test_the_end_gets_one_answer_that_tells_of_the_rest() -> None:
    async with socket_server(LocalRemote(speech=lambda window: 0.5)) as server, client(server.url) as old:
        await old.ask(chunk(0.8))
        await old.ask(chunk(0.8, 0.5))
        summary = await old.ask(frame("end"))
        assert (summary.label, summary.audio_seconds, summary.judged_seconds) == ("spoof", 1.5, 1.5)
        assert (summary.speech_seconds, summary.p_spoof) == (0.75, pytest.approx(0.8, abs=0.01))
        assert await old.closed() == (1000, "")


async def test_without_speech_there_is_no_score_but_a_number_for_old_clients() -> None:
    async with socket_server(LocalRemote(speech=lambda window: 0.02)) as server, client(server.url) as old:
        result = (await old.ask(chunk(0.9))).result
        assert (result.label, result.score, result.is_spoof, result.p_spoof) == ("no_speech", 0.0, False, None)
        assert (result.all_scores.spoof, result.all_scores.bonafide, result.logits) == (0.0, 0.0, [])


async def test_a_model_that_fails_is_told_and_the_socket_stays_open() -> None:
    remote = LocalRemote()
    async with socket_server(remote) as server, client(server.url) as old:
        remote.errors = [OSError("gone")]
        answer = await old.ask(chunk(0.5))
        assert (answer.type, answer.code) == ("error", "unavailable")
        assert "window" in answer.message
        assert (await old.ask(chunk(0.5))).windows[0].sequence == 1


async def test_where_the_model_failed_on_all_there_is_an_error_and_no_summary() -> None:
    remote = LocalRemote()
    async with socket_server(remote) as server, client(server.url) as old:
        remote.errors = [OSError("gone"), OSError("gone")]
        assert (await old.ask(chunk(0.5, 0.5))).type == "buffering"
        answer = await old.ask(frame("end"))
        assert (answer.type, answer.code) == ("error", "unavailable")
        assert await old.closed() == (1008, "unavailable")


async def test_the_service_has_its_own_defaults_of_windows() -> None:
    async with socket_server(chunk_s=2.0, overlap_s=1.0) as server, client(server.url) as old:
        assert (await old.ask(chunk(0.7, 1.0))).chunk_duration == 2.0
        assert [window.end_time_seconds for window in (await old.ask(chunk(0.7, 2.0))).windows] == [2.0, 3.0]
        in_force = (await old.ask(frame("config"))).config
        assert (in_force.chunk_duration, in_force.overlap_duration) == (2.0, 1.0)
        # Who names the length alone gets what overlap fits.
        for window_s, overlap_s in ((0.5, 0.25), (0.25, 0.0), (1.0, 0.75), (4.0, 1.0)):
            in_force = (await old.ask(frame("config", chunk_duration=window_s))).config
            assert (in_force.chunk_duration, in_force.overlap_duration) == (window_s, overlap_s)
        await old.ask(frame("config", overlap_duration=2.0))
        assert (await old.ask(frame("config", chunk_duration=0.5))).code == "invalid_request"
        in_force = (await old.ask(frame("config", overlap_duration=0.0, chunk_duration=0.5))).config
        assert (in_force.chunk_duration, in_force.overlap_duration) == (0.5, 0.0)
