"""Two tracks become two channels, whatever the order of their media; one that sends nothing holds little back."""

from hypothesis import given
from hypothesis import strategies as st

from bonafide.api.telephony.tracks import MOST_AHEAD, Tracks

MEDIA = st.lists(st.tuples(st.sampled_from(["inbound", "outbound"]), st.integers(0, 400)), max_size=40)


def tracks() -> Tracks:
    return Tracks("inbound", "outbound", "mulaw")


@given(MEDIA)
def test_each_channel_is_its_track(media: list[tuple[str, int]]) -> None:
    paired = tracks()
    sent = {"inbound": b"", "outbound": b""}
    found = b""
    for number, (track, count) in enumerate(media):
        data = bytes([number]) * count
        sent[track] += data
        found += paired.add(track, data)
    found += paired.rest()
    longest = max(map(len, sent.values()))
    assert [found[0::2], found[1::2]] == [each.ljust(longest, b"\xff") for each in sent.values()]
    assert paired.rest() == b""


def test_silence_stands_for_a_track_that_is_a_second_behind() -> None:
    paired = tracks()
    assert paired.add("inbound", b"\1" * MOST_AHEAD) == b""
    assert paired.add("inbound", b"\1" * 100) == b"\1\xff" * 100
    assert paired.add("outbound", b"\2" * 10) == b"\1\2" * 10
    assert paired.add("other", b"\3" * 10) == b""
    assert len(paired.add("inbound", b"\1" * 10 * MOST_AHEAD)) == 2 * (10 * MOST_AHEAD - 10)
