"""That a process is killed with its parent: tests/bonafide/bento/test_supervisor.py, tests/bonafide/decoders."""

import os
import subprocess
import sys

from scripts.local_service import ROOT


def test_a_process_whose_parent_has_ended_already_ends() -> None:
    program = "import sys; from bonafide.parent import end_with_parent; end_with_parent(int(sys.argv[1])); print('on')"
    answers = [
        subprocess.run([sys.executable, "-c", program, str(pid)], cwd=ROOT, capture_output=True, text=True, check=False)
        for pid in (os.getpid(), os.getpid() + 1)
    ]
    assert [(answer.returncode, answer.stdout) for answer in answers] == [(0, "on\n"), (1, "")]
