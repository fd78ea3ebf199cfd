"""The chart's alerts, as Prometheus itself reads and evaluates them: they fire when they should, and only then."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart import CHART, of_kind, rendered
from tests.deploy.tools import installed, output


@pytest.fixture
def promtool() -> str:
    """The command that PROMTOOL names, or that of the system."""
    named = os.environ.get("PROMTOOL")
    return named if named and Path(named).is_file() else installed("promtool", "prometheus, or PROMTOOL names one")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules of the chart, in a file of Prometheus' own form."""
    (rule,) = of_kind(rendered(CHART / "ci" / "production.yaml"), "PrometheusRule").values()
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


def test_prometheus_reads_the_alerts(promtool: str, rules: Path) -> None:
    assert "2 rules found" in output(promtool, "check", "rules", rules)


def test_the_alerts_fire_when_they_should(promtool: str, rules: Path) -> None:
    cases = shutil.copy(Path(__file__).with_name("alerts.yml"), rules.with_name("alerts.yml"))
    assert "SUCCESS" in output(promtool, "test", "rules", cases)
