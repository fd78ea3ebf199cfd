"""Separate hosts on one machine: network namespaces on a bridge, with names that change and links that can be cut."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.tools import installed

NAMES = Path("/etc/netns")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Network:
    """A bridge that this process is on too, and hosts that are plugged into it. See `network`."""

    def __init__(self) -> None:
        self._id = os.getpid() % 30_000
        self._bridge = f"bf{self._id}"
        self._net = f"198.18.{self._id % 250}"  # set aside for tests of network devices
        self._hosts: dict[str, int] = {}
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self._net}.254/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def plug_in(self, host: str) -> str:
        """Makes a host and returns its address."""
        number = self._hosts[host] = len(self._hosts) + 1
        space, cable = self._space(host), self._cable(host)
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._bridge, "up")
        _ip("-n", space, "address", "add", f"{self._net}.{number}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        return f"{self._net}.{number}"

    def on(self, host: str) -> list[str]:
        """The command prefix that runs a command on a host."""
        return ["ip", "netns", "exec", self._space(host)]

    def name(self, host: str, names: Mapping[str, Sequence[str]]) -> None:
        """Sets the addresses of names on a host, before or while commands run there."""
        folder = NAMES / self._space(host)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "host.conf").write_text("multi on\n")
        lines = ["127.0.0.1 localhost", *(f"{each} {name}" for name, all_of_it in names.items() for each in all_of_it)]
        (folder / "hosts").write_text("\n".join(lines) + "\n")  # in place: it is mounted over /etc/hosts there

    def pull_cable(self, host: str) -> None:
        """Cuts the link to the host, without closing connections."""
        _ip("link", "set", self._cable(host), "down")

    def put_cable_back(self, host: str) -> None:
        _ip("link", "set", self._cable(host), "up")

    def close(self) -> None:
        for host in self._hosts:
            subprocess.run(["ip", "netns", "delete", self._space(host)], capture_output=True, check=False)
            shutil.rmtree(NAMES / self._space(host), ignore_errors=True)
        subprocess.run(["ip", "link", "delete", self._bridge], capture_output=True, check=False)

    def _space(self, host: str) -> str:
        return f"bonafide-{self._id}-{host}"

    def _cable(self, host: str) -> str:
        return f"bf{self._id}-{self._hosts[host]}"


@contextmanager
def network() -> Iterator[Network]:
    """A network for a test; skips where none can be made."""
    installed("ip", "iproute2")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    try:
        made = Network()
    except RuntimeError as error:
        pytest.skip(f"no network namespaces here: {error}")
    try:
        yield made
    finally:
        made.close()
