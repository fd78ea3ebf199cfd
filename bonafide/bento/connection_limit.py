"""How many connections the HTTP port holds, in all and of one address."""

import ipaddress
from collections import Counter
from collections.abc import Callable

from bonafide.addresses import parse_ip

_IPV6_NETWORK = 64
"""Bits of an IPv6 address that name a customer, who has all addresses below."""


class ConnectionLimit:
    """Counts open connections.

    Args:
        in_all: most connections; 0: no limit.
        of_one_address: most of one address, or of one IPv6 network; 0: no limit.

    Attributes:
        open: connections that have a slot now.
    """

    def __init__(self, in_all: int, of_one_address: int) -> None:
        self.open = 0
        self._in_all = in_all
        self._of_one_address = of_one_address
        self._by_network: Counter[str] = Counter()

    def acquire(self, address: str) -> "ConnectionSlot | None":
        """A slot for a connection from `address` (empty: not known, as of a unix socket); None: there is none left."""
        network = network_of(address)
        if self._in_all and self.open >= self._in_all:
            return None
        if network and self._of_one_address and self._by_network[network] >= self._of_one_address:
            return None
        self.open += 1
        self._by_network[network] += 1
        return ConnectionSlot(lambda: self._release(network))

    def _release(self, network: str) -> None:
        self.open -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


class ConnectionSlot:
    """One connection's slot.

    Args:
        release: gives it back.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Gives it back; does nothing when it was given back before."""
        if self._release is not None:
            release, self._release = self._release, None
            release()


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, also one that IPv6 carries, or an IPv6 network."""
    try:
        found = parse_ip(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
