import socket

import httpx
import pytest

from bonafide.api.private import PrivateServer


async def test_metrics_and_probes() -> None:
    ready = True
    server = PrivateServer(lambda: (b"bonafide_up 1\n", "text/plain; version=0.0.4"), lambda: ready)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        metrics = await http.get("/metrics")
        assert (metrics.content, metrics.headers["content-type"]) == (b"bonafide_up 1\n", "text/plain; version=0.0.4")
        assert [(await http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
        for path in ("/metrics", "/livez"):
            assert (await http.get(path, headers={"host": f"rebound.example:{port}"})).status_code == 403
            assert (await http.get(path, headers={"host": f"localhost:{port}"})).status_code == 200
        ready = False
        assert [(await http.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 503]
        assert (await http.post("/detect_audio")).status_code == 404
    await server.stop()
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass


async def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = PrivateServer(lambda: (b"", "text/plain"), lambda: True)
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf":{port} \(BONAFIDE_METRICS_HOST, BONAFIDE_METRICS_PORT\): it is taken"):
            await server.start("127.0.0.1", port)
        await server.stop()


async def test_ipv6_and_all_addresses() -> None:
    for host in ("::1", "::"):
        server = PrivateServer(lambda: (b"", "text/plain"), lambda: True)
        port = await server.start(host, 0)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://[::1]:{port}/livez")).status_code == 200
        await server.stop()
