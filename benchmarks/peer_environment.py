"""The virtual environment of the peers, in the user's cache: this project's own has none of them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from models.folders import build_once
from scripts.local_service import ROOT

REQUIREMENTS = ROOT / "benchmarks" / "peer_servers" / "requirements.lock"
_UV = str(ROOT / "scripts" / "uv.sh")


def peer_binaries() -> Path:
    """Folder of its programs; it is made when there is none for these requirements.

    Raises:
        subprocess.CalledProcessError: packages cannot be installed, as uv has written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return build_once(cache / "bonafide" / f"peers-{digest}", _install) / "bin"


def _install(folder: Path) -> None:
    # Relocatable, as the folder is renamed when it is complete.
    _uv("venv", "--allow-existing", "--relocatable", "--python", sys.executable, str(folder))
    _uv("pip", "sync", "--python", str(folder / "bin" / "python"), "--require-hashes", str(REQUIREMENTS))


def _uv(*arguments: str) -> None:
    subprocess.run([_UV, *arguments, "--quiet"], check=True, env={**os.environ, "PYTHON": sys.executable})
