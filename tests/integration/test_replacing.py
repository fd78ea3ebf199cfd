"""A running service with second models in the shadow, and models that are replaced while calls go on."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lab.comparison.log import VerdictPair, read_lines
from scripts.local_service import LocalService
from tests.integration.logs import tracebacks
from tests.integration.processes import process_of
from tests.integration.replaceable import ReplaceableService, replaceable_service
from tests.integration.test_live import RATE, ask, chunk, socket
from tests.integration.tiny_models import tiny_face, tiny_models, tiny_voice
from tests.integration.waiting import until
from tests.media import encode_image, photo, speech_like, wav

pytestmark = [pytest.mark.slow, pytest.mark.beside, pytest.mark.timeout(300)]

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Models:
    """Tiny ones; each `other` has the same weights with its classes the other way round, so that scores add up to 1."""

    voice: Path
    other_voice: Path
    face: Path
    other_face: Path


@dataclass(frozen=True)
class Replaceable:
    running: ReplaceableService
    models: Models

    @property
    def service(self) -> LocalService:
        return self.running.service

    async def replace(self, name: str, reference: Path) -> httpx.Response:
        return await asyncio.to_thread(self.running.replace, name, reference)

    def shadows(self) -> list[VerdictPair]:
        return read_lines(self.service.log.read_text().splitlines()).compared

    async def counted(self, runner: str) -> float:
        """Answers that the shadow of a model has come to an end with."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{self.running.private}/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith("bonafide_shadow_verdicts_total{")]
        return sum(float(line.split()[-1]) for line in lines if f'runner="{runner}"' in line)


@pytest.fixture(scope="module")
def models() -> Models:
    other_voice, other_face = (
        tiny_voice("other-voice", ("spoof", "bonafide")),
        tiny_face("other-face", ("spoof", "live")),
    )
    return Models(tiny_voice(), other_voice, tiny_face(), other_face)


@pytest.fixture(scope="module")
def replaceable(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaceable]:
    folder = tmp_path_factory.mktemp("service")
    settings = {
        **tiny_models(),
        "BONAFIDE_VOICE_SHADOW": str(models.other_voice),
        "BONAFIDE_FACE_SHADOW": str(models.other_face),
        "BONAFIDE_MODELS_DIR": str(folder / "models"),
        "BONAFIDE_LOG_FORMAT": "json",
    }
    with replaceable_service(folder / "log", settings) as started:
        yield Replaceable(started, models)
    assert not tracebacks(started.service.log.read_text())


@pytest.fixture
async def http(replaceable: Replaceable) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=replaceable.service.url, timeout=120) as http:
        yield http


def recording(seconds: float, seed: int) -> bytes:
    """Noise of changing level; another one with each seed, so that no score is cached."""
    noise = np.random.default_rng(seed).normal(0, 3000, int(seconds * RATE))
    return wav((noise * np.linspace(0.2, 1, len(noise))).clip(-32768, 32767).astype(np.int16), RATE)


async def shadow_of(replaceable: Replaceable, request_id: str) -> VerdictPair:
    """What the shadow said on a call, once it has said it."""
    while True:
        found = [each for each in replaceable.shadows() if each.request_id == request_id]
        if found:
            return found[0]
        await asyncio.sleep(0.1)


async def test_shadows_score_what_was_answered(replaceable: Replaceable, http: httpx.AsyncClient) -> None:
    log = replaceable.service.log
    await until(lambda: _true('"runner": "voice_shadow"' in log.read_text()), PATIENCE_S)
    await until(lambda: _true('"runner": "face_shadow"' in log.read_text()), PATIENCE_S)
    upload = await http.post("/detect_audio", content=recording(9, 1), headers={"x-request-id": "an-upload"})
    seen = await http.post("/predict_liveness", content=encode_image(photo()), headers={"x-request-id": "a-photo"})
    async with socket(replaceable.service) as connection:
        for _ in range(3):
            frame = await ask(connection, chunk(speech_like(1)[0].astype(np.float32), RATE))
            assert frame["type"] == "detection_result"
    answers = (upload.text, seen.text, json.dumps(frame))
    assert not any("other" in answer for answer in answers)

    async def all_counted() -> bool:
        return (await replaceable.counted("voice"), await replaceable.counted("face")) == (2, 1)

    await until(all_counted, PATIENCE_S)
    said = {each.request_id: each for each in replaceable.shadows()}
    assert {"an-upload", "a-photo"} < said.keys()
    assert len(said) == 3
    for each in said.values():
        assert {each.served.model[0], each.shadow.model[0]} in ({"voice", "other-voice"}, {"face", "other-face"})
        assert np.add(each.served.scores, each.shadow.scores) == pytest.approx(1, abs=0.002)
        assert each.served.label != each.shadow.label
    report = upload.json()
    assert [each["score"] for each in report["chunks"]] == pytest.approx(said["an-upload"].served.scores, abs=1e-4)
    assert process_of(replaceable.service, "VoiceShadowRunner").nice() == 19
    assert process_of(replaceable.service, "WavLMRunner").nice() < 19


async def test_a_shadow_that_is_killed_takes_no_answer_with_it(
    replaceable: Replaceable, http: httpx.AsyncClient
) -> None:
    process_of(replaceable.service, "VoiceShadowRunner").kill()
    for seed in range(100, 105):
        assert (await http.post("/detect_audio", content=recording(5, seed))).status_code == 200
        assert (await http.get("/readyz")).status_code == 200

    seeds = itertools.count(200)
    before = len(replaceable.shadows())

    async def scores_again() -> bool:
        await http.post("/detect_audio", content=recording(5, next(seeds)))
        await asyncio.sleep(0.5)
        return len(replaceable.shadows()) > before

    await until(scores_again, PATIENCE_S)


@dataclass
class Traffic:
    """Answers while a model is replaced.

    Attributes:
        statuses: of uploads, in order.
        models: names of the models that judged them.
    """

    statuses: list[int]
    models: list[str]


async def calls(http: httpx.AsyncClient, stop: asyncio.Event, traffic: Traffic, first_seed: int) -> None:
    seed = first_seed
    while not stop.is_set():
        answer = await http.post("/detect_audio", content=recording(30, seed))
        traffic.statuses.append(answer.status_code)
        traffic.models.append(answer.json()["model"]["name"] if answer.status_code == 200 else answer.text)
        seed += 1
        await asyncio.sleep(0.05)


async def test_a_model_that_cannot_be_loaded_is_refused(replaceable: Replaceable, http: httpx.AsyncClient) -> None:
    for reference, told in ((replaceable.models.face, "face"), (replaceable.models.voice / "none", "no")):
        refused = await replaceable.replace("voice", reference)
        assert refused.status_code == 422
        assert told in refused.json()["error"]
    answer = await http.post("/detect_audio", content=recording(5, 51))
    assert (answer.status_code, answer.json()["model"]["name"]) == (200, "voice")


async def test_a_voice_model_is_replaced_while_calls_go_on(replaceable: Replaceable, http: httpx.AsyncClient) -> None:
    same = recording(9, 7)
    before = (await http.post("/detect_audio", content=same)).json()
    traffic, stop = Traffic([], []), asyncio.Event()
    callers = [asyncio.create_task(calls(http, stop, traffic, 1000 * (1 + index))) for index in range(4)]
    async with socket(replaceable.service) as connection:

        async def speak(count: int) -> None:
            for _ in range(count):
                frame = await ask(connection, chunk(speech_like(1)[0].astype(np.float32), RATE))
                assert frame["type"] == "detection_result", frame

        await speak(2)
        answer = await replaceable.replace("voice", replaceable.models.other_voice)
        assert answer.status_code == 200, answer.text
        after = (await http.post("/detect_audio", content=same)).json()
        await speak(2)
        known = len(traffic.models)
        await until(lambda: _true(len(traffic.models) > known + 8), PATIENCE_S)
        stop.set()
        await asyncio.gather(*callers)
    assert set(traffic.statuses) == {200}
    assert (traffic.models[0], traffic.models[-1]) == ("voice", "other-voice")
    assert (answer.json()["model"], answer.json()["replicas"]) == ("other-voice", 1)
    assert (before["model"]["name"], after["model"]["name"]) == ("voice", "other-voice")
    assert before["model"]["version"] != after["model"]["version"] == answer.json()["version"]
    assert before["score"] + after["score"] == pytest.approx(1, abs=0.002), "no score from the cache of the other model"

    for reference in (replaceable.models.voice, replaceable.models.other_voice):  # the way back is open at once
        answer = await replaceable.replace("voice", reference)
        assert (answer.status_code, answer.json().get("model")) == (200, reference.name)
        judged = (await http.post("/detect_audio", content=same)).json()
        assert judged["model"]["name"] == reference.name
        assert judged["score"] == pytest.approx((before if reference.name == "voice" else after)["score"], abs=1e-6)

    process_of(replaceable.service, "WavLMRunner").kill()

    async def judged_by_its_successor() -> bool:
        answer = await http.post("/detect_audio", content=recording(5, next(seeds)))
        return answer.status_code == 200

    seeds = itertools.count(5000)  # none from the cache
    await until(judged_by_its_successor, PATIENCE_S)
    assert (await http.get("/model_status")).json()["voice"]["model"]["name"] == "other-voice"


async def test_a_face_model_is_replaced_while_calls_go_on(replaceable: Replaceable, http: httpx.AsyncClient) -> None:
    picture = encode_image(photo())
    answers: list[dict[str, Any]] = []
    stop = asyncio.Event()

    async def photos() -> None:
        while not stop.is_set():
            answer = await http.post("/predict_liveness", content=picture)
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())
            await asyncio.sleep(0.02)

    callers = [asyncio.create_task(photos()) for _ in range(4)]
    await until(lambda: _true(len(answers) > 4), PATIENCE_S)
    answer = await replaceable.replace("face", replaceable.models.other_face)
    assert answer.status_code == 200, answer.text
    known = len(answers)
    await until(lambda: _true(len(answers) > known + 8), PATIENCE_S)
    stop.set()
    await asyncio.gather(*callers)
    first, last = answers[0], answers[-1]
    assert (first["model_name"], last["model_name"]) == ("face", "other-face")
    assert first["probabilities"]["fake"] + last["probabilities"]["fake"] == pytest.approx(1, abs=0.01)


async def test_a_shadow_is_replaced_too(replaceable: Replaceable, http: httpx.AsyncClient) -> None:
    answer = await replaceable.replace("voice_shadow", replaceable.models.voice)
    assert (answer.status_code, answer.json()["model"]) == (200, "voice")
    await http.post("/detect_audio", content=recording(5, 31), headers={"x-request-id": "by-another-shadow"})
    async with asyncio.timeout(PATIENCE_S):
        said = await shadow_of(replaceable, "by-another-shadow")
    assert said.shadow.model[0] == "voice"


async def _true(condition: bool) -> bool:
    return condition
