"""Wild input: whatever the bytes, the reader returns windows or raises one of the service's errors in time."""

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonafide.audio.reader import WINDOW_SAMPLES, AudioLimits, AudioReader
from bonafide.errors import BonafideError
from tests.hostile import mutate
from tests.media import RECIPES, encode, encoder_rate, speech_like

LIMITS = AudioLimits(max_bytes=2**24, max_seconds=60, max_channels=16, max_sample_rate=192_000)
WILD = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MAGIC = [
    *(b"", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS\0\2", b"#!AMR\n", b"#!AMR-WB\n", b"\x1aE\xdf\xa3"),
    *(b"ID3\4\0\0\0\0\0\x10", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"\0\0\0\x18ftypM4A ", b"\0\0\1\0moov"),
    b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb",
]


@cache
def valid(kind: str) -> bytes:
    rate = encoder_rate(kind, 22_050)
    return encode(speech_like(2.0, rate), rate, kind)


def survive(data: bytes) -> None:
    started = time.thread_time()
    try:
        for batch in AudioReader(data, LIMITS):
            for window in batch:
                assert 0 < len(window.pcm) <= WINDOW_SAMPLES
                assert len(window.pcm) == WINDOW_SAMPLES or window.index == 0
                assert 0 < window.fresh_s <= 4
    except BonafideError:
        pass
    assert time.thread_time() - started < 5


@WILD
@given(st.binary(min_size=1, max_size=20_000), st.sampled_from(MAGIC))
def test_random_bytes(data: bytes, magic: bytes) -> None:
    survive(magic + data)


def mutated_header(kind: str, seed: int) -> bytes:
    whole, random = valid(kind), np.random.default_rng(seed)
    if kind in {"m4a", "alac", "mov-pcm"}:  # the table is at the end
        return whole[:-4_000] + mutate(whole[-4_000:], random)
    return mutate(whole[:600], random) + whole[600:]


@WILD
@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 2**32 - 1))
def test_mutated_files(kind: str, seed: int) -> None:
    survive(mutate(valid(kind), np.random.default_rng(seed)))
    survive(mutated_header(kind, seed))


@WILD
@given(st.sampled_from(sorted(RECIPES)), st.floats(0, 1))
def test_truncated_files(kind: str, kept: float) -> None:
    whole = valid(kind)
    survive(whole[: max(1, int(kept * len(whole)))])


@WILD
@given(st.sampled_from(sorted(RECIPES)), st.sampled_from(sorted(RECIPES)), st.integers(0, 2_000))
def test_files_glued_together(first: str, second: str, cut: int) -> None:
    survive(valid(first)[: len(valid(first)) - cut] + valid(second)[cut:])


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECIPES)
@settings(WILD, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_many_mutations_of_each_format(kind: str, seed: int) -> None:
    survive(mutate(valid(kind), np.random.default_rng(seed)))
    survive(mutated_header(kind, seed))
