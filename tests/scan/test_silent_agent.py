"""What stands in for Ray's agent says that it serves no port, and does not outlive what started it."""

import os
import subprocess
import sys
from pathlib import Path

from scan import silent_agent


def test_it_names_no_port_and_ends_with_its_pipe(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", silent_agent.__file__, "agent.py", f"--session-dir={tmp_path}", "--head"]
    environment = {**os.environ, "RAY_NODE_ID": "abc"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin is not None
        while len(list(tmp_path.iterdir())) < 3 or list(tmp_path.glob("*.fresh")):
            assert agent.poll() is None
        assert agent.poll() is None
        agent.stdin.close()
        assert agent.wait(10) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "metrics_agent_port_abc": "-1",
        "metrics_export_port_abc": "-1",
        "dashboard_agent_listen_port_abc": "-1",
    }
