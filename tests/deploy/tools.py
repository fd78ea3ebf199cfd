"""Commands that the deployment's files are checked with; one that is missing skips the test and states its origin."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bonafide.environment import variables
from bonafide.settings import Settings
from scripts.local_service import ROOT

DEPLOY = ROOT / "deploy"
Manifest = dict[str, Any]


@cache
def built(script: str) -> Path:
    """A command that `make tools` has built."""
    environment = {**os.environ, "BUILD": "no"}
    found = subprocess.run([ROOT / "scripts" / script], capture_output=True, text=True, check=False, env=environment)
    if found.returncode == 3:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.strip())


def installed(command: str, package: str) -> str:
    """A command of the system."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"no {command} here (Debian package {package})")
    return path


def output(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def templated(*options: str | Path) -> list[Manifest]:
    """What Helm makes of a chart: rendered and read once with the same options and files, a copy for each test."""
    files = tuple(Path(each).read_bytes() for each in options if str(each).endswith(".yaml"))
    found: list[Manifest] = json.loads(_template(options, files))
    return found


@cache
def _template(options: tuple[str | Path, ...], _files: tuple[bytes, ...]) -> str:
    rendered = output(built("helm.sh"), "template", *options)
    return json.dumps([manifest for manifest in yaml.load_all(rendered, yaml.CSafeLoader) if manifest])


def setting_variables() -> set[str]:
    """Every name that the service reads from its environment."""
    return {each for name, field in Settings.model_fields.items() for each in variables(name, field)}
