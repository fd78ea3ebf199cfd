"""The contract of the cache, in memory and on a real Valkey."""

import asyncio
import itertools
import json
import math
import struct
import uuid
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from redis.asyncio import Redis

from bonafide.cache import codec as codec
from bonafide.cache.cache import Cache, RecordingMeta, open_cache
from bonafide.cache.circuit_breaker import PROBE_KEY
from bonafide.cache.codec import Codec
from bonafide.cache.seal import Authentication, Checksum
from bonafide.settings import Settings
from bonafide.verdict import WindowScore
from tests.servers import Server

WINDOW = 64_000
LENGTHS = range(1, WINDOW + 1)
CODECS = [Codec(Checksum()), Codec(Authentication(b"a secret of the cache"))]
META = RecordingMeta(1, 4.0, ())
HALF = WindowScore(0.5, 0.75)
SAMPLES = st.binary(min_size=1, max_size=300).map(lambda data: np.frombuffer(2 * data, np.int16))
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def window(seed: int, samples: int = WINDOW) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-32768, 32768, samples, dtype=np.int16)


def redis_settings(server: Server, **other: object) -> Settings:
    return Settings.model_validate({"redis_host": "127.0.0.1", "redis_port": server.port, **other})


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    failures: list[None] = []
    if request.param == "redis":
        chosen = redis_settings(request.getfixturevalue("valkey_server"), redis_timeout_s=5)
    else:
        chosen = Settings()
    opened = open_cache(chosen, lambda: failures.append(None))
    yield opened
    await opened.close()
    assert not failures


@pytest.fixture
def content() -> str:
    """An id that no other test uses."""
    return uuid.uuid4().hex


async def test_an_empty_cache_knows_nothing(cache: Cache, content: str) -> None:
    assert await cache.get_recording(content) is None
    assert await cache.get_windows(content, [0, 1], LENGTHS) == {}
    assert await cache.get_scores(content, "model", [0, 1]) == {}
    assert await cache.get_windows(content, [], LENGTHS) == {}
    await cache.put_windows(content, {})
    await cache.put_scores(content, "model", {})


async def test_only_what_is_kept_comes_back(cache: Cache, content: str) -> None:
    await cache.put_windows(content, {0: window(0), 2: window(2)})
    await cache.put_scores(content, "model", {1: WindowScore(0.25, 0.0), 2: WindowScore(1.0, 1.0)})
    found = await cache.get_windows(content, [3, 2, 1, 0], LENGTHS)
    assert sorted(found) == [0, 2]
    assert np.array_equal(found[2], window(2))
    assert await cache.get_scores(content, "model", range(5)) == {1: WindowScore(0.25, 0.0), 2: WindowScore(1.0, 1.0)}


async def test_each_version_of_a_model_has_its_own_scores(cache: Cache, content: str) -> None:
    await cache.put_scores(content, "wavlm@1", {0: WindowScore(0.1, 0.2)})
    await cache.put_scores(content, "wavlm@2", {0: WindowScore(0.9, 0.8)})
    assert await cache.get_scores(content, "wavlm@1", [0]) == {0: WindowScore(0.1, 0.2)}
    assert await cache.get_scores(content, "wavlm@2", [0]) == {0: WindowScore(0.9, 0.8)}
    assert await cache.get_scores(content, "wavlm", [0]) == {}


async def test_an_hour_comes_back_whole(cache: Cache, content: str) -> None:
    one = window(0)
    windows = {index: one + np.int16(index) for index in range(900)}
    await cache.put_windows(content, windows)
    found = await cache.get_windows(content, list(windows), LENGTHS)
    assert list(found) == list(windows)
    assert all(np.array_equal(found[index], windows[index]) for index in windows)


async def test_an_hour_does_not_hold_up_others(cache: Cache, content: str) -> None:
    windows = dict.fromkeys(range(900), window(0))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await cache.put_windows(content, windows)
    await cache.get_windows(content, list(windows), LENGTHS)
    waiting.cancel()
    assert turns >= 2 * 900 / 16


async def test_a_window_that_was_read_is_the_readers_own(cache: Cache, content: str) -> None:
    await cache.put_windows(content, {0: window(0)})
    found = await cache.get_windows(content, [0], LENGTHS)
    found[0][:] = 0
    assert np.array_equal((await cache.get_windows(content, [0], LENGTHS))[0], window(0))


async def test_numbers_of_numpy_are_numbers(cache: Cache, content: str) -> None:
    numbers = np.array([0.5, 0.25], np.float32)
    await cache.put_scores(content, "model", {0: WindowScore(*numbers)})
    await cache.put_recording(content, RecordingMeta(np.int64(1), numbers[0], ()))  # type: ignore[arg-type]
    assert await cache.get_scores(content, "model", [0]) == {0: WindowScore(0.5, 0.25)}
    assert await cache.get_recording(content) == RecordingMeta(1, 0.5, ())


async def test_a_window_of_another_kind_is_a_mistake(cache: Cache, content: str) -> None:
    with pytest.raises(TypeError, match="int16"):
        await cache.put_windows(content, {0: np.zeros(WINDOW, np.float32)})


async def test_what_is_no_probability_is_not_kept(cache: Cache, content: str) -> None:
    numbers = [math.nan, math.inf, -0.001, 1.001, 0.5, 0.0, 1.0]
    wild = {index: WindowScore(number, 0.5) for index, number in enumerate(numbers)}
    wild |= {index + 10: WindowScore(0.5, number) for index, number in enumerate(numbers)}
    await cache.put_scores(content, "model", wild)
    found = await cache.get_scores(content, "model", list(wild))
    assert found == {index: wild[index] for index in (4, 5, 6, 14, 15, 16)}


@pytest.mark.parametrize("seconds", [0.0, 3600.25])
async def test_the_facts_of_a_recording(cache: Cache, content: str, seconds: float) -> None:
    meta = RecordingMeta(3, seconds, ("the file ends early", "“кавычки”"))
    await cache.put_recording(content, meta)
    assert await cache.get_recording(content) == meta
    newer = RecordingMeta(4, seconds, ())
    await cache.put_recording(content, newer)
    assert await cache.get_recording(content) == newer


async def test_windows_are_not_kept_when_they_must_not_be(valkey_server: Server, content: str) -> None:
    for chosen in (Settings(cache_windows=False), redis_settings(valkey_server, cache_windows=False)):
        cache = open_cache(chosen)
        await cache.put_windows(content, {0: window(0)})
        await cache.put_scores(content, "model", {0: HALF})
        assert await cache.get_windows(content, [0], LENGTHS) == {}
        assert await cache.get_scores(content, "model", [0]) == {0: HALF}
        await cache.close()


def score_of(members: int) -> st.SearchStrategy[WindowScore]:
    """A score with those of so many members."""
    share = st.floats(0, 1)
    return st.builds(WindowScore, share, share, st.tuples(*[share] * members))


@given(
    contents=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True),
    models=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True),
    members=st.integers(0, 3),
    data=st.data(),
)
@often
async def test_scores_come_back_exactly_and_under_no_other_name(
    cache: Cache, content: str, contents: list[str], models: list[str], members: int, data: st.DataObject
) -> None:
    scores = data.draw(st.dictionaries(st.integers(0, 10**6), score_of(members), max_size=20))
    unique = uuid.uuid4().hex
    one, two = (unique + text for text in contents)
    await cache.put_scores(one, models[0], scores)
    assert await cache.get_scores(one, models[0], list(scores), members) == scores
    assert await cache.get_scores(one, models[1], list(scores), members) == {}
    assert await cache.get_scores(two, models[0], list(scores), members) == {}
    assert await cache.get_scores(one, models[0], list(scores), members + 1) == {}


@given(windows=st.dictionaries(st.integers(0, 10**6), SAMPLES, min_size=1, max_size=40))
@often
async def test_windows_come_back_exactly(cache: Cache, windows: dict[int, NDArray[np.int16]]) -> None:
    content = uuid.uuid4().hex
    await cache.put_windows(content, windows)
    found = await cache.get_windows(content, list(windows), LENGTHS)
    assert found.keys() == windows.keys()
    for index, samples in windows.items():
        assert found[index].dtype == np.int16
        assert np.array_equal(found[index], samples)


@given(
    windows=st.integers(0, 10**9),
    seconds=st.floats(0, 1e9),
    warnings=st.lists(st.text(max_size=50), max_size=5).map(tuple),
)
@often
async def test_facts_come_back_exactly(cache: Cache, windows: int, seconds: float, warnings: tuple[str, ...]) -> None:
    content = uuid.uuid4().hex
    meta = RecordingMeta(windows, seconds, warnings)
    await cache.put_recording(content, meta)
    assert await cache.get_recording(content) == meta


@given(parts=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.integers(0, 99)), min_size=2, max_size=2))
@often
def test_no_two_things_share_a_key(parts: list[tuple[str, str, int]]) -> None:
    (one, model_one, index_one), (two, model_two, index_two) = parts
    keys = [codec.recording_key(one), codec.window_key(one, index_one), codec.score_key(one, model_one, index_one)]
    others = [codec.recording_key(two), codec.window_key(two, index_two), codec.score_key(two, model_two, index_two)]
    assert len({*keys, *others, PROBE_KEY}) == 7 - sum(
        (one == two, (one, index_one) == (two, index_two), parts[0] == parts[1])
    )
    assert all(key.isascii() and key.isprintable() for key in keys)


@given(value=st.binary(max_size=200))
@often
def test_garbage_is_nothing(value: bytes) -> None:
    for values in CODECS:
        assert values.decode_recording("key", value) is None
        assert values.decode_window("key", value, LENGTHS) is None
        assert values.decode_score("key", value) is None


@given(
    flip=st.integers(0, 10**9),
    cut=st.integers(0, 10**9),
    score=score_of(0),
    samples=SAMPLES,
)
@often
def test_a_damaged_or_foreign_value_is_nothing(
    flip: int, cut: int, score: WindowScore, samples: NDArray[np.int16]
) -> None:
    for values, (write, read) in itertools.product(
        CODECS,
        (
            (lambda v: v.encode_score("key", score), lambda v, key, value: v.decode_score(key, value)),
            (lambda v: v.encode_window("key", samples), lambda v, key, value: v.decode_window(key, value, LENGTHS)),
            (lambda v: v.encode_recording("key", META), lambda v, key, value: v.decode_recording(key, value)),
        ),
    ):
        value = write(values)
        damaged = bytearray(value)
        damaged[flip // 8 % len(value)] ^= 1 << flip % 8
        for wrong in (bytes(damaged), value[: cut % len(value)], value + b"\0"):
            assert read(values, "key", wrong) is None
        assert read(values, "key", value) is not None
        assert read(values, "another key", value) is None
        for other in {*CODECS, Codec(Authentication(b"another secret"))} - {values}:
            assert read(other, "key", value) is None


def test_a_window_of_another_length_is_nothing() -> None:
    for values in CODECS:
        value = values.encode_window("key", window(0, 100))
        assert values.decode_window("key", value, range(100, 101)) is not None
        for lengths in (range(101, 200), range(1, 100), range(WINDOW, WINDOW + 1)):
            assert values.decode_window("key", value, lengths) is None
        assert values.decode_window("key", values.encode_window("key", window(0, 0)), LENGTHS) is None


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "[1]",
        '["1", 2.0, [], []]',
        "[1, NaN, [], []]",
        "[1, -1.0, [], []]",
        "[-1, 1.0, [], []]",
        "[1, 1.0, [], [], 1]",
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_facts_that_make_no_sense_are_nothing(payload: str) -> None:
    assert CODECS[0].decode_recording("key", Checksum().close("key", payload.encode())) is None


@pytest.mark.parametrize("score", [math.nan, -0.1, 1.1, math.inf])
def test_a_score_that_makes_no_sense_is_nothing(score: float) -> None:
    for wrong in (WindowScore(score, 0.5), WindowScore(0.5, score), WindowScore(0.5, 0.5, (score, 0.5))):
        value = CODECS[0].encode_score("key", wrong)
        assert CODECS[0].decode_score("key", value, len(wrong.members)) is None


def test_a_score_of_one_model_is_read_as_releases_without_ensembles_wrote_it() -> None:
    value = Checksum().close("key", struct.pack("<dd", 0.25, 0.75))
    assert CODECS[0].decode_score("key", value) == WindowScore(0.25, 0.75)
    assert CODECS[0].encode_score("key", WindowScore(0.25, 0.75)) == value
    assert CODECS[0].decode_score("key", value, members=2) is None


def test_a_score_of_a_release_that_knew_nothing_of_speech_is_nothing() -> None:
    assert CODECS[0].decode_score("key", Checksum().close("key", struct.pack("<d", 0.5))) is None


async def test_every_key_in_redis_has_an_end_date(valkey_server: Server, content: str) -> None:
    cache = open_cache(redis_settings(valkey_server, cache_ttl_s=77))
    await cache.put_recording(content, RecordingMeta(1, 4.0, ()))
    await cache.put_windows(content, {0: window(0)})
    await cache.put_scores(content, "model", {0: HALF})
    async with Redis(port=valkey_server.port) as redis:
        keys = [key async for key in redis.scan_iter(f"bonafide:7:{content}*")]
        assert len(keys) == 3
        assert all([70 < await redis.ttl(key) <= 77 for key in keys])
    await cache.close()


async def test_what_others_wrote_into_redis_is_nothing(valkey_server: Server, content: str) -> None:
    cache = open_cache(redis_settings(valkey_server))
    scores = dict.fromkeys(range(4), HALF)
    await cache.put_scores(content, "model", scores)
    await cache.put_windows(content, {index: window(index, 100) for index in range(4)})
    score_keys = [codec.score_key(content, "model", index) for index in range(4)]
    window_keys = [codec.window_key(content, index) for index in range(4)]
    async with Redis(port=valkey_server.port) as redis:
        for keys in (score_keys, window_keys):
            await redis.delete(keys[0])
            await redis.rpush(keys[0], "a list")
            await redis.set(keys[1], b"0.5")
            await redis.copy(keys[3], keys[2], replace=True)
    assert await cache.get_scores(content, "model", range(4)) == {3: HALF}
    assert list(await cache.get_windows(content, range(4), LENGTHS)) == [3]
    await cache.put_scores(content, "model", scores)  # over a list too
    assert await cache.get_scores(content, "model", range(4)) == scores
    await cache.close()


async def test_with_a_key_only_its_owners_values_are_taken(valkey_server: Server, content: str) -> None:
    own, without, other = (
        open_cache(redis_settings(valkey_server, cache_key=key)) for key in ("k" * 16, "", "another key of 16")
    )
    for writer in (without, other):
        await writer.put_recording(content, META)
        await writer.put_windows(content, {0: window(0)})
        await writer.put_scores(content, "model", {0: HALF})
        assert await own.get_recording(content) is None
        assert await own.get_windows(content, [0], LENGTHS) == {}
        assert await own.get_scores(content, "model", [0]) == {}
    await own.put_recording(content, META)
    await own.put_windows(content, {0: window(0)})
    await own.put_scores(content, "model", {0: HALF})
    assert await own.get_recording(content) == META
    assert np.array_equal((await own.get_windows(content, [0], LENGTHS))[0], window(0))
    assert await own.get_scores(content, "model", [0]) == {0: HALF}
    for cache in (own, without, other):
        await cache.close()


def test_conditions_come_back_and_what_knows_none_is_read_anew() -> None:
    values = Codec(Checksum())
    key = codec.recording_key("content")
    meta = RecordingMeta(3, 12.0, (), ("noise", "codec"))
    assert values.decode_recording(key, values.encode_recording(key, meta)) == meta
    older = Checksum().close(key, json.dumps([3, 12.0, []]).encode())
    assert values.decode_recording(key, older) is None


def test_what_was_measured_before_music_was_listened_for_is_read_anew() -> None:
    assert not codec.recording_key("content").endswith(":m")
    assert codec.window_key("content", 0) == "bonafide:7:content:w:0"
