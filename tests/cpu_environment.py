"""An environment that holds only what the image `cpu` holds: the packages of its lock file, linked from this one's."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from scripts.local_service import ROOT

LOCK = ROOT / "deploy" / "image" / "requirements-cpu.lock"
_BENTOML = """\
#!{python}
import sys
from bentoml_cli.cli import cli
sys.exit(cli())
"""


def locked_packages() -> list[str]:
    """Names of the packages in the lock file."""
    return [line.split("==")[0] for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line]


def make_cpu_environment(folder: Path) -> Path:
    """Makes the environment, and returns its Python; `bentoml` lies beside it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in locked_packages():
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))).absolute())
    python = folder / "bin" / "python"
    script = folder / "bin" / "bentoml"
    script.write_text(_BENTOML.format(python=python), encoding="utf-8")
    script.chmod(0o755)
    return python
