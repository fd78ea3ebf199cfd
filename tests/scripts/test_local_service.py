"""Ports for servers: a connection that opens meanwhile must not get one."""

import socket
from pathlib import Path

import pytest

from scripts import local_service
from scripts.local_service import free_ports


def test_ports_differ_and_are_free() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    for port in ports[:5]:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_connections_get_other_ports() -> None:
    if not (first := local_service._connection_ports()):
        pytest.skip("this system does not tell which ports it gives to connections")
    assert max(free_ports(50)) < first


@pytest.mark.parametrize("told", ["1024\t65535\n", None])
def test_where_no_ports_are_left_aside_the_system_chooses(
    told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    if told is not None:
        file.write_text(told)
    monkeypatch.setattr(local_service, "_CONNECTION_PORTS", file)
    assert len(set(free_ports(3))) == 3
