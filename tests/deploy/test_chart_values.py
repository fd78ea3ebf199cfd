"""Values of the chart in spellings and types that people write."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bonafide.settings import Settings
from tests.deploy.chart import CHART, environment, of_kind, pod_of, read_in, rendered
from tests.deploy.tools import DEPLOY, built

DEFAULTS = CHART / "ci" / "defaults.yaml"


def with_values(**values: Any) -> tuple[str, ...]:
    return tuple(f"--set-json={name}={json.dumps(value)}" for name, value in values.items())


def refusal(chart: Path, values: Path, *options: str) -> str:
    command = [str(built("helm.sh")), "template", "release", str(chart), "--values", str(values), *options]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    return refused.stderr


@pytest.mark.parametrize("name", ["bonafide_drain_s", "Bonafide_Drain_S"])
def test_a_pod_may_stay_for_a_drain_in_any_spelling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for deployment in of_kind(rendered(DEFAULTS, *with_values(settings={name: 600})), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == 620
        assert read_in(pod["containers"][0], monkeypatch).drain_s == 600


def test_a_setting_in_another_spelling_wins_over_the_chart_and_stays_away_where_it_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    minio = {"endpoint": "m:9000", "existingSecret": "minio", "secure": True}
    settings = {"minio_use_ssl": False, "bonafide_workers": 2, "redis_host": "redis", "http_proxy": "http://proxy"}
    manifests = rendered(DEFAULTS, *with_values(minio=minio, settings=settings))
    service, voice = (pod_of(manifests, f"release-bonafide{each}")["containers"][0] for each in ("", "-voice"))
    read = read_in(service, monkeypatch)
    assert (read.minio_secure, read.workers) == (False, 2)
    assert read_in(voice, monkeypatch).workers == 1
    assert environment(voice)["http_proxy"] == "http://proxy", "none of ours"


def test_two_spellings_of_one_setting_do_not_install() -> None:
    options = with_values(settings={"BONAFIDE_DRAIN_S": 20, "bonafide_drain_s": 600})
    assert "settings.BONAFIDE_DRAIN_S is given twice" in refusal(CHART, DEFAULTS, *options)
    options = with_values(settings={"MINIO_SECURE": True, "MINIO_USE_SSL": False})
    assert "settings.MINIO_SECURE is given twice" in refusal(CHART, DEFAULTS, *options)


def test_jobs_are_decided_on_in_one_place_in_any_spelling() -> None:
    assert "jobs.enabled" in refusal(CHART, DEFAULTS, *with_values(settings={"bonafide_jobs": True}))
    rendered(DEFAULTS, *with_values(settings={"BONAFIDE_JOBS": None}))


def test_jobs_are_kept_in_the_redis_of_the_settings() -> None:
    jobs = with_values(jobs={"enabled": True}, minio={"endpoint": "m:9000", "existingSecret": "minio"})
    manifests = rendered(DEFAULTS, *jobs, *with_values(settings={"REDIS_URL": "redis://state"}))
    assert "BONAFIDE_JOBS_DB" not in environment(pod_of(manifests, "release-bonafide")["containers"][0])


@pytest.mark.parametrize("task", ["voice", "face"])
def test_a_model_of_the_settings_is_prepared_and_served_as_one_of_the_values(task: str) -> None:
    of_settings = {f"bonafide_{task}_model": "example/model", f"bonafide_{task}_spoof_label": "LABEL_1"}
    of_values = {f"BONAFIDE_{task.upper()}_SPOOF_LABEL": "LABEL_1"}
    first, second = (
        pod_of(rendered(DEFAULTS, *with_values(**values)), f"release-bonafide-{task}")
        for values in (
            {"models": {"download": True}, "settings": of_settings},
            {"models": {"download": True, task: "example/model"}, "settings": of_values},
        )
    )
    assert first == second
    assert first["initContainers"][0]["args"][3] == "example/model"


@pytest.mark.parametrize("task", ["voice", "face"])
def test_the_model_that_an_image_was_built_with_is_served_unless_another_is_named(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make image VOICE=...` names it in the Bento's own settings, over which variables go."""
    (tmp_path / "bonafide.yaml").write_text(f"{task}_model: bento:bank-{task}:1\n")
    monkeypatch.setattr("bonafide.settings.SHIPPED", tmp_path / "bonafide.yaml")
    for values, served in (({}, f"bento:bank-{task}:1"), ({"models": {task: "bundled"}}, "bundled")):
        pods = rendered(DEFAULTS, *with_values(**values))
        (runner,) = pod_of(pods, f"release-bonafide-{task}")["containers"]
        assert getattr(read_in(runner, monkeypatch), f"{task}_model") == served


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        ({"BONAFIDE_METRICS_PORT": 9090}, True),
        ({"BONAFIDE_GRPC_PORTS": "[50051, 50052]"}, True),
        ({"BONAFIDE_METRICS_PORT": 9100}, False),
        ({"bonafide_metrics_port": ""}, False),
        ({"BONAFIDE_GRPC_PORTS": [50051]}, False),
        ({"BONAFIDE_AUDIOSOCKET_PORT": 9093}, False),
    ],
)
def test_ports_are_those_of_the_probes_and_services(settings: dict[str, Any], fits: bool) -> None:
    if fits:
        rendered(DEFAULTS, *with_values(settings=settings))
    else:
        assert "probes, Services and policies" in refusal(CHART, DEFAULTS, *with_values(settings=settings))


def test_what_is_null_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        "settings:\ndrainSeconds:\ntopologyKeys:\nenvFrom:\n"
        "service: {grpcMaxConnectionAgeSeconds: null, resources: null, strategy: null}\n"
    )
    manifests = rendered(DEFAULTS, "--values", str(tmp_path / "values.yaml"))
    pod = pod_of(manifests, "release-bonafide")
    assert not {"BONAFIDE_DRAIN_S", "BONAFIDE_GRPC_MAX_CONNECTION_AGE_S"} & environment(pod["containers"][0]).keys()
    assert pod["terminationGracePeriodSeconds"] == Settings.model_fields["drain_s"].default + 20


def test_the_memory_of_our_redis_in_bytes() -> None:
    manifests = rendered(DEFAULTS, *with_values(redis={"enabled": True, "maxMemory": 536870912}))
    arguments = pod_of(manifests, "release-bonafide-redis")["containers"][0]["args"]
    assert arguments[arguments.index("--maxmemory") + 1] == "536870912"


@pytest.mark.parametrize("switch", ["security.allowPublic", "networkPolicy.elsewhere", "voice.gpu.enabled"])
def test_a_switch_that_is_text_does_not_install(switch: str) -> None:
    assert "boolean" in refusal(CHART, DEFAULTS, "--set-string", f"{switch}=false")
    if not switch.startswith("security"):
        scan = DEPLOY / "ray"
        assert "boolean" in refusal(scan, scan / "ci" / "archive.yaml", "--set-string", f"{switch}=false")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("redis", ("redis", 6380)),
        ("redis:6381", ("redis", 6381)),
        ("fd00::1", ("fd00::1", 6380)),
        ("[fd00::1]:6381", ("fd00::1", 6381)),
        ("rediss://redis", ("redis", 6380)),
        ("rediss://user:1234@redis:6381/2", ("redis", 6381)),
    ],
)
def test_a_redis_that_is_there_has_its_port_once(
    host: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = rendered(DEFAULTS, *with_values(redis={"host": host, "port": 6380}))
    redis = read_in(pod_of(manifests, "release-bonafide")["containers"][0], monkeypatch).redis
    assert redis is not None
    assert (redis.host, redis.port, redis.tls) == (*address, host.startswith("rediss"))


@pytest.mark.parametrize("ours", [{"enabled": True}, {"host": "other", "port": 6380}])
@pytest.mark.parametrize(
    ("name", "value"), [("redis_url", "redis://state:6381"), ("REDIS_HOST", "state:6381"), ("REDIS_HOST", "state")]
)
def test_a_redis_of_the_settings_is_the_only_one(
    ours: dict[str, Any], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = rendered(DEFAULTS, *with_values(redis=ours, settings={name: value}))
    redis = read_in(pod_of(manifests, "release-bonafide")["containers"][0], monkeypatch).redis
    assert redis is not None
    assert (redis.host, redis.port) == ("state", 6381 if "6381" in value else 6379)


def test_a_setting_wins_over_a_secret_and_each_variable_is_there_once() -> None:
    settings = {"redis_password": "one", "MINIO_ACCESS_KEY": "two", "BONAFIDE_RUNNER_TOKEN": "0123456789abcdef"}
    values = with_values(
        redis={"host": "redis", "existingSecret": "redis"},
        minio={"endpoint": "m:9000", "existingSecret": "minio"},
        security={"allowPublic": True, "runnerTokenSecret": "token"},
        settings=settings,
    )
    manifests = rendered(DEFAULTS, *values)
    service, voice = (pod_of(manifests, f"release-bonafide{each}")["containers"][0] for each in ("", "-voice"))
    for container in (service, voice):
        names = [each["name"] for each in container["env"]]
        assert len(names) == len(set(names)), "of two with one name the last is taken, or the pod is refused"
        assert environment(container)["BONAFIDE_RUNNER_TOKEN"] == settings["BONAFIDE_RUNNER_TOKEN"]
    variables = environment(service)
    assert (variables["REDIS_PASSWORD"], variables["MINIO_ACCESS_KEY"]) == ("one", "two")
    assert variables["MINIO_SECRET_KEY"] == "from a secret"


def test_an_endpoint_of_the_settings_has_the_keys_of_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    values = with_values(minio={"existingSecret": "minio"}, settings={"minio_endpoint": "m:9000"})
    (service,) = pod_of(rendered(DEFAULTS, *values), "release-bonafide")["containers"]
    assert read_in(service, monkeypatch).minio_endpoint == "m:9000"


@pytest.mark.parametrize(
    ("values", "unknown"),
    [
        ({"security": {"tlsSecrets": "tls"}}, "tlsSecrets"),
        ({"networkPolicy": {"form": []}}, "form"),
        ({"redis": {"enable": True}}, "enable"),
        ({"voice": {"autoscaling": {"minReplica": 2}}}, "minReplica"),
        ({"drainSecond": 60}, "drainSecond"),
    ],
)
def test_a_name_that_nothing_reads_does_not_install(values: dict[str, Any], unknown: str) -> None:
    """A typo there would serve without TLS, open a policy or leave out Redis, without a word."""
    message = refusal(CHART, DEFAULTS, *with_values(**values))
    assert f"'{unknown}' not allowed" in message
    rendered(DEFAULTS, *with_values(**{"x-anchors": 1, "global": {}, "scan": {"task": "face"}}))
