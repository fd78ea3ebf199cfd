"""How many fields a protobuf message holds is told before it is parsed."""

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.api.protobuf_extent import require_few_fields
from bonafide.errors import TooLarge
from proto import jobs_pb2 as messages

MANY = {
    "texts": b"\x12\x00",
    "texts whose tags are longer than need be": b"\x92\x80\x00\x00",
    "texts whose lengths are longer than need be": b"\x12\x81\x80\x00a",
    "numbers": b"\xa0\x06\x01",
    "numbers of 8 bytes": b"\xa1\x06" + bytes(8),
    "numbers of 4 bytes": b"\xa5\x06" + bytes(4),
    "groups": b"\xa3\x06\xa4\x06",
}


@pytest.mark.parametrize("name", MANY)
def test_a_message_has_so_many_fields(name: str) -> None:
    messages.CreateJobRequest.FromString(MANY[name])
    with pytest.raises(TooLarge, match="more than 100 fields"):
        require_few_fields(MANY[name] * 101, 100)


@given(st.lists(st.text(max_size=300), max_size=50))
@settings(max_examples=200)
def test_what_stands_in_a_text_does_not_count(keys: list[str]) -> None:
    raw = messages.CreateJobRequest(bucket="b", keys=keys, prefix="").SerializeToString()
    require_few_fields(raw, len(keys) + 2)
    with pytest.raises(TooLarge):
        require_few_fields(raw, len(keys) + 1)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([*MANY.values()])).map(b"".join))
@settings(max_examples=500)
def test_no_message_has_more_keys_than_were_counted(raw: bytes) -> None:
    with suppress(DecodeError):
        found = messages.CreateJobRequest.FromString(raw)
        if found.keys:
            with pytest.raises(TooLarge):
                require_few_fields(raw, len(found.keys) - 1)


@pytest.mark.parametrize("raw", [b"\xff" * 1_000, b"\x12", b"\x12\xff", b"\x80", b"\x12\xff\xff\xff\xff\x0f"], ids=str)
def test_what_is_no_message_is_left_to_its_parser(raw: bytes) -> None:
    require_few_fields(raw, 5)
