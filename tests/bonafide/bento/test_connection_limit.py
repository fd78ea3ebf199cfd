import pytest

from bonafide.bento.connection_limit import ConnectionLimit, ConnectionSlot, network_of


def taken(slot: ConnectionSlot | None) -> ConnectionSlot:
    assert slot is not None
    return slot


def test_slots_in_all_and_of_one_address() -> None:
    connections = ConnectionLimit(in_all=3, of_one_address=2)
    first = taken(connections.acquire("10.0.0.1"))
    taken(connections.acquire("10.0.0.1"))
    assert connections.acquire("10.0.0.1") is None
    taken(connections.acquire("10.0.0.2"))
    assert connections.acquire("10.0.0.3") is None
    first.release()
    first.release()  # only once
    assert connections.open == 2
    taken(connections.acquire("10.0.0.1"))
    assert connections.acquire("10.0.0.1") is None


def test_zero_is_no_limit_and_unknown_addresses_are_not_one() -> None:
    connections = ConnectionLimit(in_all=0, of_one_address=0)
    for _ in range(5_000):
        taken(connections.acquire("10.0.0.1"))
    connections = ConnectionLimit(in_all=4, of_one_address=1)
    for _ in range(4):
        taken(connections.acquire(""))
    assert connections.acquire("") is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network
