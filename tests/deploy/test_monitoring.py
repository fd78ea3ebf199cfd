"""The dashboard that ships: each of its queries against the metrics that the running service really has."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from bonafide import telemetry
from bonafide_client import AsyncBonafideClient, AudioDetectionClient
from scripts.local_service import ROOT, LocalService, free_ports, running
from tests.bonafide.evidence.signing import key_file
from tests.deploy.tools import DEPLOY, installed, output

DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/bonafide.json").read_text())
FITTED_SCORES = "scores" in json.loads((ROOT / "models/bundled/voice/calibration.json").read_text())
"""Whether the bundled voice model has a drift."""
PROMETHEUS = DEPLOY / "prometheus/prometheus.yml"


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def known() -> dict[str, set[str]]:
    """Our metrics with their labels, as the code declares them."""
    found = {}
    for metric in vars(telemetry).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (described,) = metric.describe()
            name = described.name + ("_total" if isinstance(metric, Counter) else "")
            found[name] = {*metric._labelnames, "le"}
    return found


def asked_for(query: str) -> set[str]:
    """Our metrics in a query."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"bonafide_\w+", query)}


def test_every_query_asks_for_what_there_is() -> None:
    metrics = known()
    for query in queries():
        names = asked_for(query)
        assert names, query
        assert names <= metrics.keys(), query
        labels = set(re.findall(r"(\w+)(?:=~|=|!=)\"", query))
        labels |= {label for by in re.findall(r"by \(([^)]*)\)", query) for label in by.replace(" ", "").split(",")}
        assert labels <= set.union(*(metrics[name] for name in names)), query


def test_every_metric_of_ours_is_shown() -> None:
    assert set.union(*map(asked_for, queries())) == known().keys()


def test_grafana_is_told_where_both_are() -> None:
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert [source["url"] for source in sources] == ["http://prometheus:9090"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    used = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert used == {"${datasource}"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LocalService]:
    """One that has every metric; those of the webhook and of shadows are there where one is set."""
    environment = {
        "BONAFIDE_WEBHOOK_URL": "http://127.0.0.1:9/",
        "BONAFIDE_VOICE_SHADOW": "bundled",
        "BONAFIDE_FACE_SHADOW": "bundled",
        "BONAFIDE_EVIDENCE_KEY": str(key_file(tmp_path / "key")),
        "BONAFIDE_EVIDENCE_LOG": str(tmp_path / "evidence"),
        "BONAFIDE_FEEDBACK_DB": str(tmp_path / "feedback.db"),
        "BONAFIDE_JOBS": "true",
        "BONAFIDE_JOBS_DB": str(tmp_path / "jobs.db"),
        "BONAFIDE_DRIFT_RECENT": "20",
    }
    with running(tmp_path / "log", environment) as service:
        yield service


@pytest.fixture
def prometheus(service: LocalService, tmp_path: Path) -> Iterator[str]:
    """A real Prometheus with the configuration that ships, but for its target and its pace."""
    command = installed("prometheus", "prometheus")
    (port,) = free_ports(1)
    text = PROMETHEUS.read_text()
    assert '"bonafide:9090"' in text
    text = text.replace("bonafide:9090", f"127.0.0.1:{service.http_port}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text)
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [command, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.deploy
@pytest.mark.timeout(900)
async def test_every_query_has_an_answer_from_a_real_prometheus(
    prometheus: str, service: LocalService, call_mp3: Path, face_jpg: Path, measured: Callable[[str, str], None]
) -> None:
    async def ask(query: str) -> list[Any]:
        answer = await http.get(
            f"{prometheus}/api/v1/query", params={"query": query.replace("$__rate_interval", "30s")}
        )
        body = answer.json()
        assert body["status"] == "success", body
        return list(body["data"]["result"])

    async with (
        AsyncBonafideClient(service.address) as client,
        httpx.AsyncClient(timeout=20) as http,
        AudioDetectionClient(f"ws://127.0.0.1:{service.http_port}/ws/detect") as live,
    ):
        empty = {query for query in queries() if "bonafide_score_drift" not in query or FITTED_SCORES}
        async with asyncio.timeout(400):
            while empty:
                await client.analyze_file(call_mp3)
                await client.predict_liveness(face_jpg)
                await live.send_audio_file(call_mp3)
                await http.post(f"{service.url}/analyze_audio", json={"bucket": "no", "key": "thing"})
                await asyncio.sleep(1)
                try:
                    empty = {query for query in empty if not await ask(query)}
                except httpx.ConnectError:
                    continue
    measured("Prometheus", f"scrapes the service and answers all {len(queries())} queries of the dashboard")


@pytest.mark.deploy
def test_promtool_agrees() -> None:
    output(installed("promtool", "prometheus"), "check", "config", PROMETHEUS)
