import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.local_service import ROOT

PROGRAM = """
import json, os, subprocess, sys
from bonafide.bento.streams import open_standard_streams

open_standard_streams()
first = os.open(os.curdir, os.O_RDONLY)
print("nobody reads it")
where = [os.path.realpath(f"/proc/self/fd/{number}") for number in range(3)]
child = "import sys; sys.exit(sum(each is not None for each in (sys.stdin, sys.stdout, sys.stderr)))"
told = {
    "first": first,
    "where": where,
    "missing": [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None],
    "of a child": subprocess.run([sys.executable, "-c", child]).returncode,
}
with open(sys.argv[1], "w") as file:
    json.dump(told, file)
"""


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", ">&-", "2>&-"])
def test_what_is_opened_later_is_no_standard_stream(closed: str, tmp_path: Path) -> None:
    told = tmp_path / "told"
    shell = f'exec "$@" {closed}'
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", PROGRAM, str(told)]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
    found = json.loads(told.read_text())
    assert found["first"] > 2
    assert "/dev/null" in found.pop("where")
    assert found["missing"] == []
    assert found["of a child"] == 3
