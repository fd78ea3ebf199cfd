"""Fetches packages by name with the registries' own clients and unpacks them into a cache folder.

In: a `Package` (registry, name, version). Out: the folder that holds its unpacked files. Nothing is
written inside the repository, and nothing is fetched twice.
"""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

Registry = Literal["debian", "pypi-sdist", "pypi-wheel", "npm"]

_DONE = ".fetched"
_SUFFIXES = {
    "debian": (".deb",),
    "pypi-sdist": (".tar.gz", ".zip"),
    "pypi-wheel": (".whl",),
    "npm": (".tgz",),
}


@dataclass(frozen=True)
class Package:
    """One package of one registry.

    Attributes:
        registry: Its registry; PyPI's source and binary distributions count as two.
        name: Its name there.
        licence: Licence of the files taken from it, as the package states it.
        version: Exact version, or None for the client's choice.
    """

    registry: Registry
    name: str
    licence: str
    version: str | None = None

    @property
    def source(self) -> str:
        """Short name for manifests and model cards: `debian:klettres-data`."""
        return f"{self.registry.split('-')[0]}:{self.name}"


class FetchError(RuntimeError):
    """A registry client failed or did not fetch the file; the message contains its last lines."""


def data_dir() -> Path:
    """The cache folder: `$BONAFIDE_DATA_DIR`, or `~/.cache/bonafide/data`. It is created."""
    root = os.environ.get("BONAFIDE_DATA_DIR")
    path = Path(root) if root else Path.home() / ".cache" / "bonafide" / "data"
    path.mkdir(parents=True, exist_ok=True)
    return path


def fetch(package: Package, timeout_s: float = 600) -> Path:
    """Fetches and unpacks one package unless it is cached.

    Args:
        package: What to fetch.
        timeout_s: Limit for the registry client.

    Returns:
        The folder with the unpacked files (`data_dir()/packages/<registry>/<name>`).

    Raises:
        FetchError: The client is missing, failed, or ran past the limit.
    """
    registry, target = package.registry, _folder(package)
    if fetched(package):
        return target
    log.info("fetching %s", package.source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        download, unpacked = Path(scratch, "download"), Path(scratch, "unpacked")
        download.mkdir()
        unpacked.mkdir()
        _call(_command(package), download, timeout_s)
        archive = _only_file(download, _SUFFIXES[registry])
        _unpack(archive, unpacked)
        (unpacked / _DONE).write_text(archive.name + "\n")
        # The marker is inside, so a folder either is complete or does not exist.
        if target.exists():
            shutil.rmtree(target)
        unpacked.rename(target)
    return target


def fetched(package: Package) -> bool:
    """Whether it lies there already."""
    return (_folder(package) / _DONE).is_file()


def _folder(package: Package) -> Path:
    return data_dir() / "packages" / package.registry / package.name.replace("/", "__")


def require_tools(tools: dict[str, str], installer: str = "apt-get install --no-install-recommends") -> None:
    """Checks that command-line tools are installed.

    Args:
        tools: Command -> package that holds it.
        installer: What installs such packages.

    Raises:
        FetchError: Some are missing; the message is the line that installs them.
    """
    missing = sorted({package for command, package in tools.items() if shutil.which(command) is None})
    if missing:
        line = " ".join([installer, *missing])
        raise FetchError(f"tools are missing; run: {line}")


def _command(package: Package) -> list[str]:
    joint = {"debian": "=", "npm": "@"}.get(package.registry, "==")
    wanted = package.name if package.version is None else f"{package.name}{joint}{package.version}"
    match package.registry:
        case "debian":
            return ["apt-get", "download", wanted]
        case "npm":
            return ["npm", "pack", wanted]
        case "pypi-sdist":
            # Only for this name: its build requirements must still come as wheels.
            return [*_pip(), "download", "--no-deps", "--no-binary", package.name, wanted]
        case "pypi-wheel":
            return [*_pip(), "download", "--no-deps", "--only-binary", package.name, wanted]


def _pip() -> list[str]:
    """Environments made by uv have no pip; any other pip on this machine is sufficient for downloading."""
    for python in (sys.executable, "/usr/bin/python3", shutil.which("pip")):
        if python is None or not Path(python).exists():
            continue
        command = [python] if Path(python).name.startswith("pip") else [python, "-m", "pip"]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    raise FetchError("pip is not installed (python -m ensurepip, or apt-get install python3-pip)")


def _call(command: Sequence[str], folder: Path, timeout_s: float) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=timeout_s)
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{' '.join(command)}: not done after {timeout_s:.0f} s") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise FetchError(f"{' '.join(command)} failed:\n{tail}")


def _only_file(folder: Path, suffixes: tuple[str, ...]) -> Path:
    found = [path for path in folder.iterdir() if path.name.endswith(suffixes)]
    if len(found) != 1:
        raise FetchError(f"expected one {suffixes[0]} file, got {sorted(p.name for p in folder.iterdir())}")
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".deb":
        _call(["dpkg-deb", "-x", str(archive), str(folder)], folder, 300)
    elif archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as bundle:
            bundle.extractall(folder)  # noqa: S202 (zipfile keeps names inside the folder)
    else:
        with tarfile.open(archive) as bundle_tar:
            bundle_tar.extractall(folder, filter="data")
