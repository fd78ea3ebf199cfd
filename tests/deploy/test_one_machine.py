"""compose.yaml and the systemd unit, as their own tools read them."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bonafide.settings import Settings
from scripts.local_service import ROOT
from tests.deploy.tools import DEPLOY, built, installed, output, setting_variables

UNIT = DEPLOY / "systemd" / "bonafide.service"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """As the reference loader of the Compose Specification understands it."""
    options = ("-no-interpolation", "-no-path-resolution")
    return dict(yaml.safe_load(output(built("compose_go.sh"), *options, DEPLOY / "compose.yaml")))


def test_compose_starts_five_services_and_publishes_loopback_only(compose: dict[str, Any]) -> None:
    assert compose["services"].keys() == {"bonafide", "minio", "redis", "prometheus", "grafana"}
    for service in compose["services"].values():
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}
    assert "ports" not in compose["services"]["redis"]
    networks = compose["services"]["redis"]["networks"].keys()
    assert all(compose["networks"][each]["internal"] is True for each in networks)
    sharing = {name for name, each in compose["services"].items() if networks & each["networks"].keys()}
    assert sharing == {"bonafide", "redis"}, "who can write to it can put scores there"


def test_compose_gives_the_service_what_it_reads(compose: dict[str, Any]) -> None:
    service = compose["services"]["bonafide"]
    assert service["environment"].keys() <= setting_variables() | {"HOME"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    grace = int(re.sub(r"\D", "", service["stop_grace_period"]))
    assert grace >= float(service["environment"]["BONAFIDE_DRAIN_S"]) + 15


def test_compose_serves_the_models_of_the_image_unless_others_are_named(compose: dict[str, Any]) -> None:
    """`make image VOICE=...` names them in the Bento's own settings, over which variables go that are not empty."""
    given = compose["services"]["bonafide"]["environment"]
    for task in ("VOICE", "FACE"):
        assert given[f"BONAFIDE_{task}_MODEL"] == f"${{BONAFIDE_{task}_MODEL:-}}"


def test_compose_mounts_files_that_are_there(compose: dict[str, Any]) -> None:
    binds = [
        DEPLOY / volume["source"]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert len(binds) == 3
    assert all(path.exists() for path in binds), binds
    example = (DEPLOY / "compose.env.example").read_text()
    wanted = set(re.findall(r"\$\{(\w+):\?\}", (DEPLOY / "compose.yaml").read_text()))
    assert wanted == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_the_unit_is_valid_and_shut_tight(tmp_path: Path) -> None:
    analyze = installed("systemd-analyze", "systemd")
    text = UNIT.read_text()
    here = tmp_path / "bonafide.service"
    here.write_text(text.replace("/opt/bonafide", str(ROOT)))
    environment = {"SYSTEMD_LOG_LEVEL": "warning", "HOME": os.environ["HOME"]}
    assert output(analyze, "verify", here, env=environment) == ""
    output(analyze, "security", "--offline=yes", "--threshold=25", here, env=environment)  # of 100; 10 is 1.0


def test_the_unit_waits_for_the_drain() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) >= Settings.model_fields["drain_s"].default + 20
    assert set(re.findall(r"\b(BONAFIDE_\w+)=", UNIT.read_text())) <= setting_variables()


def test_what_is_written_has_a_place_where_the_rest_is_read_only() -> None:
    """Defaults are within the checkout, or the Bento, which neither the unit nor a read-only container may write to."""
    written = ("models_dir", "jobs_db")
    unit = dict(re.findall(r"\b(BONAFIDE_\w+)=(\S+)", UNIT.read_text()))
    image = (DEPLOY / "image" / "Dockerfile").read_text()
    (volume,) = re.findall(r"^VOLUME (\S+)$", image, re.MULTILINE)
    for name in written:
        variable = f"BONAFIDE_{name.upper()}"
        assert unit[variable].startswith("%S/bonafide")
        assert re.search(rf"^ +{variable}={volume}\b", image, re.MULTILINE), variable
