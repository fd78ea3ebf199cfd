"""A program in the place of Ray's agent for dashboards: says that no port is served, and ends with what started it.

The real one imports all of Ray for 2 s of a core, and listens on a port.
"""

import os
import sys
from pathlib import Path

_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
"""For whose files Ray waits."""


def main() -> None:
    """Takes the options of the real one."""
    (session,) = (option.partition("=")[2] for option in sys.argv if option.startswith("--session-dir="))
    for port in _PORTS:
        path = Path(session) / f"{port}_{os.environ['RAY_NODE_ID']}"
        fresh = path.with_suffix(".fresh")
        fresh.write_text("-1", encoding="ascii")
        fresh.replace(path)  # never seen half written
    sys.stdin.read()


if __name__ == "__main__":
    main()
