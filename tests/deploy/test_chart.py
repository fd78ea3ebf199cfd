"""The Helm chart, rendered by the real Helm for several installations."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart import CHART, WITH_JOBS, environment, of_kind, pod_of, read_in, rendered, validate
from tests.deploy.test_monitoring import asked_for, known
from tests.deploy.tools import Manifest, built, output, setting_variables

INSTALLATIONS = sorted((CHART / "ci").glob("*.yaml"), key=lambda path: path.name)


@pytest.fixture(params=INSTALLATIONS, ids=lambda path: path.stem)
def values(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_lint(values: Path) -> None:
    output(built("helm.sh"), "lint", CHART, "--strict", "--values", values)


@pytest.mark.parametrize("version", ["1.27", "1.31", "1.34"])
def test_every_manifest_is_valid(values: Path, version: str) -> None:
    checked = 0
    for manifest in rendered(values):
        if manifest["apiVersion"].startswith("monitoring.coreos.com"):  # not Kubernetes' own
            continue
        validate(manifest, version)
        checked += 1
    assert checked >= 10


def test_every_variable_is_a_setting(values: Path) -> None:
    known = setting_variables() | {"HOME"}
    for deployment in of_kind(rendered(values), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert set(environment(container)) <= known if "env" in container else True


def test_only_the_service_reaches_the_runners(values: Path) -> None:
    manifests = rendered(values)
    policies = of_kind(manifests, "NetworkPolicy")
    deployments = of_kind(manifests, "Deployment")
    service_labels = deployments["release-bonafide"]["spec"]["template"]["metadata"]["labels"]
    runners = [name for name in deployments if name != "release-bonafide" and not name.endswith("-redis")]
    assert len(runners) == (4 if values == WITH_JOBS else 2)
    for runner in runners:
        spec = policies[runner]["spec"]
        labels = deployments[runner]["spec"]["template"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()
        assert not spec["podSelector"]["matchLabels"].items() <= service_labels.items()
        assert "Ingress" in spec["policyTypes"]
        (rule,) = spec["ingress"]
        (source,) = rule["from"]
        assert source.keys() == {"podSelector"}, "a namespaceSelector would open other namespaces"
        assert source["podSelector"]["matchLabels"].items() <= service_labels.items()
        assert source["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "service"


def test_service_and_runners_have_the_same_token() -> None:
    for name, deployment in of_kind(rendered(CHART / "ci" / "production.yaml"), "Deployment").items():
        if "redis" in name:
            continue
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (token,) = [each for each in container["env"] if each["name"] == "BONAFIDE_RUNNER_TOKEN"]
        assert token["valueFrom"] == {"secretKeyRef": {"name": "bonafide-runners", "key": "token"}}


def test_the_service_depends_on_names_that_exist_and_list_every_replica(values: Path) -> None:
    manifests = rendered(values)
    services = of_kind(manifests, "Service")
    deployments = of_kind(manifests, "Deployment")
    (container,) = deployments["release-bonafide"]["spec"]["template"]["spec"]["containers"]
    depends = [argument for argument in container["args"] if argument.startswith("--depends=")]
    jobs = {"VoiceJobsRunner", "FaceJobsRunner"} if values == WITH_JOBS else set()
    assert {each.split("=")[1] for each in depends} == {"WavLMRunner", "DINOv2Runner"} | jobs
    for each in depends:
        host, port = each.split("=")[2].removeprefix("http://").split(":")
        assert services[host]["spec"]["clusterIP"] == "None"
        assert services[host]["spec"]["ports"][0]["port"] == int(port)
        (runner,) = deployments[host]["spec"]["template"]["spec"]["containers"]
        assert f"--service-name={each.split('=')[1]}" in runner["args"]


def test_pods_have_no_rights(values: Path) -> None:
    for deployment in of_kind(rendered(values), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False, "a Service called redis would set REDIS_PORT to a URL"
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


PUBLIC = ("--set", "security.allowPublic=true")
JOBS = ("--set", "jobs.enabled=true,minio.endpoint=minio:9000,minio.existingSecret=minio")
ON_SQLITE = ("--set", "service.replicas=1,jobs.volume.size=1Gi")


def test_evidence_has_its_key_and_a_log_that_outlasts_the_pod() -> None:
    options = ("--set", "evidence.keySecret=evidence,evidence.existingClaim=records")
    manifests = rendered(CHART / "ci" / "defaults.yaml", *options)
    service = pod_of(manifests, "release-bonafide")
    (container,) = service["containers"]
    variables = environment(container)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in service["volumes"]}
    assert variables["BONAFIDE_EVIDENCE_KEY"] == f"{mounts['evidence']}/key.pem"
    assert variables["BONAFIDE_EVIDENCE_LOG"] == mounts["evidence-log"]
    assert volumes["evidence"]["secret"]["defaultMode"] == 0o440, "with others it would not start"
    assert volumes["evidence-log"]["persistentVolumeClaim"] == {"claimName": "records"}
    runner = pod_of(manifests, "release-bonafide-voice")
    assert not {"evidence", "evidence-log"} & {each["name"] for each in runner["volumes"]}
    for manifest in manifests:
        validate(manifest, "1.34")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "who may call has to be decided"),
        (["--set=security.allowPublic=true", "--set=networkPolicy.enabled=false"], "runners run what they are sent"),
        (["--set=security.clientCaSecret=callers"], "needs security.tlsSecret"),
        (["--set", "audiosocket.enabled=true"], "audiosocket.networks"),
        ([*PUBLIC, "--set-json", 'settings={"BONAFIDE_JOBS": true}'], "jobs.enabled"),
        (
            [*PUBLIC, *JOBS, "--set", "redis.host=redis", "--set-json", 'settings={"BONAFIDE_JOBS": false}'],
            "jobs.enabled",
        ),
        ([*PUBLIC, "--set", "settings.BONAFIDE_VOICE_SHADOW=new/"], "the runner of a second model"),
        ([*PUBLIC, "--set", "settings.bonafide_face_shadow=new/"], "the runner of a second model"),
        ([*PUBLIC, "--set", "settings.BONAFIDE_METRICS_HOST=127.0.0.1"], "METRICS_HOST is loopback"),
        ([*PUBLIC, "--set", "settings.BONAFIDE_GRPC_HOST=::1"], "GRPC_HOST is loopback"),
        ([*PUBLIC, "--set", "evidence.keySecret=evidence"], "evidence.existingClaim"),
        ([*PUBLIC, "--set", "evidence.existingClaim=records"], "evidence.keySecret"),
        ([*PUBLIC, "--set", "redis.enabled=true,redis.host=redis"], "one of both"),
        ([*PUBLIC, "--set", "settings.BONAFIDE_AUDIOSOCKET_PORT=9092"], "audiosocket.enabled"),
        ([*PUBLIC, "--set", "settings.BONAFIDE_FEEDBACK_DB=/var/lib/bonafide/feedback.db"], "would end with it"),
        ([*PUBLIC, "--set", "photojobs.enabled=true"], "needs jobs.enabled"),
        ([*PUBLIC, *JOBS, "--set-json", 'settings={"BONAFIDE_JOBS_PHOTOS": true}'], "photojobs.enabled"),
        ([*PUBLIC, "--set", "jobs.enabled=true", "--set", "redis.host=redis"], "minio.endpoint"),
        ([*PUBLIC, *JOBS, "--set", "redis.enabled=true"], "forgets"),
        ([*PUBLIC, *JOBS, "--set", "service.replicas=1"], "jobs.volume"),
        ([*PUBLIC, *JOBS, "--set", "jobs.volume.size=1Gi"], "service.replicas=1"),
        (
            [*PUBLIC, *JOBS, *ON_SQLITE, "--set", "service.autoscaling.enabled=true"],
            "service.autoscaling.enabled=false",
        ),
    ],
)
def test_what_would_not_be_safe_or_would_not_work_does_not_install(options: list[str], why: str) -> None:
    command = [str(built("helm.sh")), "template", "release", str(CHART), *options]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert why in refused.stderr


def test_our_redis_asks_for_the_password_that_the_service_has() -> None:
    defaults, secret = CHART / "ci" / "defaults.yaml", {"secretKeyRef": {"name": "cache", "key": "password"}}
    manifests = rendered(defaults, "--set", "redis.enabled=true,redis.existingSecret=cache")
    (service,), (redis,) = (pod_of(manifests, f"release-bonafide{each}")["containers"] for each in ("", "-redis"))
    (sent,) = [each["valueFrom"] for each in service["env"] if each["name"] == "REDIS_PASSWORD"]
    wanted = {each["name"]: each["valueFrom"] for each in redis["env"]}
    assert sent == secret
    assert wanted == {"REDISCLI_AUTH": secret}, "the probes' redis-cli reads it there"
    assert redis["args"][-2:] == ["--requirepass", "$(REDISCLI_AUTH)"]
    for manifest in manifests:
        validate(manifest, "1.34")
    (redis,) = pod_of(rendered(defaults, "--set", "redis.enabled=true"), "release-bonafide-redis")["containers"]
    assert "env" not in redis
    assert "--requirepass" not in redis["args"]


@pytest.mark.parametrize("least", ["1", "0", "50%"])
@pytest.mark.parametrize("component", ["service", "voice", "face"])
def test_a_budget_has_one_of_both_bounds(component: str, least: str) -> None:
    manifests = rendered(
        CHART / "ci" / "defaults.yaml", "--set", f"{component}.podDisruptionBudget.minAvailable={least}"
    )
    budgets = of_kind(manifests, "PodDisruptionBudget")
    name = "release-bonafide" + ("" if component == "service" else f"-{component}")
    assert len(budgets) == 3
    for each, budget in budgets.items():
        bounds = {key: value for key, value in budget["spec"].items() if key != "selector"}
        wanted = {"minAvailable": least if "%" in least else int(least)} if each == name else {"maxUnavailable": 1}
        assert bounds == wanted
        validate(budget, "1.34")


@pytest.mark.parametrize("component", ["service", "voice", "face", "jobs", "photojobs"])
def test_pods_that_are_recreated_have_no_bounds_of_a_rolling_update(component: str) -> None:
    deployments = of_kind(rendered(WITH_JOBS, "--set", f"{component}.strategy.type=Recreate"), "Deployment")
    name = "release-bonafide" + ("" if component == "service" else f"-{component}")
    for each, deployment in deployments.items():
        strategy = deployment["spec"]["strategy"]
        if each == name:
            assert strategy == {"type": "Recreate"}
        else:
            assert strategy.keys() == {"type", "rollingUpdate"}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_metrics_stay_in_the_cluster(kind: str) -> None:
    """Their port knows neither keys nor TLS, and the operator's token is sent over it."""
    options = ("--set", f"service.type={kind},serviceMonitor.enabled=true")
    manifests = rendered(CHART / "ci" / "defaults.yaml", *options)
    services = of_kind(manifests, "Service")
    wanted = of_kind(manifests, "ServiceMonitor")["release-bonafide"]["spec"]["selector"]["matchLabels"]
    (measured,) = [
        each["spec"]
        for each in services.values()
        if wanted.items() <= each["metadata"]["labels"].items()
        and any(port["port"] == 9090 for port in each["spec"]["ports"])
    ]
    assert measured.get("type", "ClusterIP") == "ClusterIP"
    assert services["release-bonafide"]["spec"]["type"] == kind
    for manifest in manifests[:-1]:  # the last is the monitor, which is not Kubernetes' own
        validate(manifest, "1.34")


def test_photos_that_are_decoded_at_a_time_fit_into_the_memory_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a CPU limit the service would take the node's CPUs, of which each may hold a photo: 8 filled 3 GiB."""
    (service,) = pod_of(rendered(CHART / "ci" / "defaults.yaml"), "release-bonafide")["containers"]
    assert "cpu" not in service["resources"]["limits"]
    settings = read_in(service, monkeypatch)
    of_a_photo = 12.5 * settings.max_image_pixels
    assert (settings.decode_threads + 1) * of_a_photo + 2 * settings.max_inflight_bytes < 3 * 2**30
    by_machine = ("--set-json", "service.decodeThreads=null")
    (service,) = pod_of(rendered(CHART / "ci" / "defaults.yaml", *by_machine), "release-bonafide")["containers"]
    assert "BONAFIDE_DECODE_THREADS" not in environment(service)


def test_a_scaled_deployment_leaves_its_number_to_the_autoscaler() -> None:
    manifests = rendered(CHART / "ci" / "production.yaml")
    deployments, scalers = of_kind(manifests, "Deployment"), of_kind(manifests, "HorizontalPodAutoscaler")
    assert set(scalers) == {"release-bonafide", "release-bonafide-voice"}
    for name in scalers:
        assert "replicas" not in deployments[name]["spec"]
    assert deployments["release-bonafide-face"]["spec"]["replicas"] == 2
    external = [
        metric for metric in scalers["release-bonafide-voice"]["spec"]["metrics"] if metric["type"] == "External"
    ]
    assert external[0]["external"]["metric"]["selector"]["matchLabels"] == {"runner": "voice", "namespace": "fraud"}


def runner_pod(task: str, *options: str) -> Manifest:
    deployments = of_kind(rendered(CHART / "ci" / "production.yaml", *options), "Deployment")
    pod: Manifest = deployments[f"release-bonafide-{task}"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("task", ["voice", "face"])
def test_hub_models_are_converted_before_a_runner_starts_and_served_from_there(task: str) -> None:
    pod = runner_pod(task)
    (convert,), (runner,) = pod["initContainers"], pod["containers"]
    assert (convert["image"], runner["image"]) == (
        "registry.example/bonafide:0.1.0-cuda",
        "registry.example/bonafide:0.1.0-cpu",
    )
    assert convert["args"][:3] == ["python", "-m", "models.convert"]
    reference, *options = convert["args"][3:]
    assert reference == yaml.safe_load((CHART / "ci" / "production.yaml").read_text())["models"][task]
    served = environment(runner)[f"BONAFIDE_{task.upper()}_MODEL"]
    assert options == [f"--task={task}", f"--out={served}"]
    assert served.startswith("/var/lib/bonafide/converted/0.1.0/")
    assert environment(runner)["BONAFIDE_OFFLINE"] == "true"
    assert convert["resources"]["limits"]["memory"] == "6Gi"
    volume = next(volume for volume in pod["volumes"] if volume["name"] == "models")
    assert volume["persistentVolumeClaim"]["claimName"] == "release-bonafide-models"


def test_another_model_is_another_folder_and_the_spoof_label_reaches_the_conversion() -> None:
    served = set()
    for reference, label in (("a/b", "LABEL_1"), ("a/b", "LABEL_0"), ("a/b@v2", "LABEL_1"), ("a/b--v2", "LABEL_1")):
        options = [f"--set=models.voice={reference}", f"--set=settings.BONAFIDE_VOICE_SPOOF_LABEL={label}"]
        pod = runner_pod("voice", *options)
        assert environment(pod["initContainers"][0])["BONAFIDE_VOICE_SPOOF_LABEL"] == label
        served.add(environment(pod["containers"][0])["BONAFIDE_VOICE_MODEL"])
    assert len(served) == 4


def test_a_runner_on_a_gpu_gets_the_checkpoint() -> None:
    pod = runner_pod("voice", "--set=voice.gpu.enabled=true", "--set=voice.imageTag=0.1.0-cuda")
    (download,), (runner,) = pod["initContainers"], pod["containers"]
    assert download["args"] == ["python", "-m", "models.fetch", "voice"]
    assert download["image"] == runner["image"] == "registry.example/bonafide:0.1.0-cuda"
    assert environment(download)["BONAFIDE_VOICE_MODEL"] == environment(runner)["BONAFIDE_VOICE_MODEL"]


@pytest.mark.parametrize("reference", ["bundled", "bento:bank-voice:1", "/var/lib/bonafide/wavlm-converted"])
def test_what_is_there_already_is_neither_fetched_nor_converted(reference: str) -> None:
    pod = runner_pod("voice", f"--set=models.voice={reference}")
    assert "initContainers" not in pod
    assert environment(pod["containers"][0])["BONAFIDE_VOICE_MODEL"] == reference


def test_gpus() -> None:
    deployments = of_kind(rendered(CHART / "ci" / "gpu.yaml"), "Deployment")
    for runner in ("voice", "face"):
        pod = deployments[f"release-bonafide-{runner}"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
        assert pod["containers"][0]["image"] == "bonafide:0.1.0-cuda"
    service = deployments["release-bonafide"]["spec"]["template"]["spec"]["containers"][0]
    assert "nvidia.com/gpu" not in service["resources"]["limits"]
    assert service["image"] == "bonafide:0.1.0-cpu"


def test_alerts_ask_for_metrics_that_there_are() -> None:
    manifests = rendered(CHART / "ci" / "production.yaml", "--set", "prometheusRule.drift=0.3")
    (rule,) = of_kind(manifests, "PrometheusRule").values()
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    alerts = {each["alert"]: each for group in rule["spec"]["groups"] for each in group["rules"]}
    assert alerts.keys() == {"BonafideScoreDrift", "BonafideEvidenceNotKept"}
    for alert in alerts.values():
        assert asked_for(alert["expr"]) <= known().keys()
    drift = alerts["BonafideScoreDrift"]
    assert drift["expr"].endswith("> 0.3")
    assert drift["for"] == "30m"
    assert "{{ $labels.codec }}" in drift["annotations"]["description"]
    assert not of_kind(rendered(CHART / "ci" / "defaults.yaml"), "PrometheusRule")


def test_audiosocket_has_a_port_only_where_it_is_enabled() -> None:
    defaults = CHART / "ci" / "defaults.yaml"
    assert "9092" not in str(rendered(defaults))
    options = ("--set", "audiosocket.enabled=true", "--set", "audiosocket.networks={10.0.0.5,10.1.0.0/16}")
    manifests = rendered(defaults, *options)
    opened = {
        name: environment(deployment["spec"]["template"]["spec"]["containers"][0])
        for name, deployment in of_kind(manifests, "Deployment").items()
    }
    networks = {name: each.get("BONAFIDE_AUDIOSOCKET_NETWORKS") for name, each in opened.items()}
    assert sorted(networks.values(), key=str) == ["10.0.0.5,10.1.0.0/16", None, None]
    ports = [port["port"] for each in of_kind(manifests, "Service").values() for port in each["spec"]["ports"]]
    assert ports.count(9092) == 1


@pytest.mark.parametrize(
    ("component", "task", "own"),
    [
        ("jobs", "voice", {"BONAFIDE_JOBS": "true"}),
        ("photojobs", "face", {"BONAFIDE_JOBS": "true", "BONAFIDE_JOBS_PHOTOS": "true"}),
    ],
)
def test_jobs_have_runners_that_give_way(component: str, task: str, own: dict[str, str]) -> None:
    options = ("--set", f"models.{task}=example/model,models.download=true,models.volume.size=1Gi")
    manifests = rendered(WITH_JOBS, *options)
    pod, other = pod_of(manifests, f"release-bonafide-{component}"), pod_of(manifests, f"release-bonafide-{task}")
    assert pod["priorityClassName"] == "batch"
    assert "priorityClassName" not in other
    (runner,), (other_runner,) = pod["containers"], other["containers"]
    assert runner["resources"]["requests"]["cpu"] == "100m"
    assert "cpu" not in runner["resources"]["limits"], "what nobody else uses is theirs"
    assert environment(runner) == environment(other_runner) | own, "the same model"
    assert pod["initContainers"][0]["args"] == other["initContainers"][0]["args"]
    assert environment(pod["initContainers"][0]) == environment(other["initContainers"][0])
    assert f"release-bonafide-{component}" not in of_kind(manifests, "HorizontalPodAutoscaler")
    (service,) = pod_of(manifests, "release-bonafide")["containers"]
    assert own.items() <= environment(service).items()
    assert "BONAFIDE_JOBS_DB" not in environment(service)
    assert of_kind(manifests, "Deployment")["release-bonafide"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_jobs_on_sqlite_have_a_disk_that_one_pod_uses_at_a_time() -> None:
    manifests = rendered(CHART / "ci" / "defaults.yaml", *JOBS, *ON_SQLITE)
    (claim,) = of_kind(manifests, "PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    pod = pod_of(manifests, "release-bonafide")
    (volume,) = [each for each in pod["volumes"] if each["name"] == "jobs"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"] == "release-bonafide-jobs"
    (container,) = pod["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "jobs"]
    assert Path(environment(container)["BONAFIDE_JOBS_DB"]).parent == Path(mount["mountPath"])
    assert of_kind(manifests, "Deployment")["release-bonafide"]["spec"]["strategy"] == {"type": "Recreate"}
    for each in manifests:
        validate(each, "1.34")
    given = rendered(CHART / "ci" / "defaults.yaml", *JOBS, *ON_SQLITE, "--set", "jobs.volume.existingClaim=mine")
    assert not of_kind(given, "PersistentVolumeClaim")
    assert "'claimName': 'mine'" in str(pod_of(given, "release-bonafide"))


def test_without_jobs_nothing_of_them_is_there() -> None:
    assert "JOBS" not in str(rendered(CHART / "ci" / "production.yaml")).upper()
