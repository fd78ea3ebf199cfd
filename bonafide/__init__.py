"""The service itself: from bytes to verdicts, and the transports around that.

Packages: `api` (gRPC, HTTP, WebSocket), `bento` (corrections of BentoML, client of its runners), `live` (live
sessions), `runner` (admission, batching, replicas), `decoders` (processes that decode), `storage`, `cache`, `audio`,
`photo`, `security`, `shadow`, `evidence` (signed records of verdicts), `drift`, `feedback`. Modules: `app`
(composition), `voice` and `face` (use cases), `recordings`, `records` (what becomes of a verdict), `verdict`,
`decision`, `telemetry`, `byte_budget`, `calls`, `fair_queue`, `errors`, `settings`.

Imports no torch and loads no spoof model; `photo.face_detector` runs a small network of its own with LiteRT.
tests/test_rooms.py checks which package may import which.
"""

__version__ = "0.1.0"
