"""Serves a folder over the part of the hub's HTTP API that a download uses, so that the real client can be run."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A running server.

    Attributes:
        url: for `HF_ENDPOINT`.
        requests: paths that were asked for, in order.
        torn: names of files whose transfer breaks off half-way.
    """

    url: str
    requests: list[str] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)


@contextmanager
def serve_hub(folder: Path, repository: str, branch: str = "main") -> Iterator[Hub]:
    """Serves the files of `folder` as `repository` on 127.0.0.1 until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.requests.append(self.path)
            api = f"/api/models/{repository}"
            if self.path.split("?")[0] in (f"{api}/revision/{branch}", f"{api}/revision/{COMMIT}"):
                self._json({"id": repository, "sha": COMMIT, "siblings": [], "tags": []})
            elif self.path.startswith(f"{api}/tree/{COMMIT}"):
                self._json([_entry(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()])
            elif match := re.fullmatch(rf"/{repository}/resolve/{COMMIT}/(.+)", self.path):
                self._file(folder / match[1])
            elif self.path.startswith(f"{api}/revision/"):
                self._json({"error": "Invalid rev id"}, 404, "RevisionNotFound")
            else:
                self._json({"error": "Repository not found"}, 404, "RepoNotFound")

        do_HEAD = do_GET

        def _json(self, content: object, status: int = 200, code: str = "") -> None:
            self._send(json.dumps(content).encode(), status, {"X-Error-Code": code} if code else {})

        def _file(self, path: Path) -> None:
            content = path.read_bytes()
            etag = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            self._send(content, 200, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, torn=path.name in hub.torn)

        def _send(self, body: bytes, status: int, headers: dict[str, str], *, torn: bool = False) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: len(body) // 2] if torn else body)
                self.close_connection = self.close_connection or torn

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(path: Path, folder: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {
        "type": "file",
        "path": str(path.relative_to(folder)),
        "size": len(content),
        "oid": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
    }
