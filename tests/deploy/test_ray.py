"""The RayJob of deploy/ray, rendered by the real Helm from the values of the service's installations."""

import argparse
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scan.command import add_options
from scripts.local_service import ROOT
from tests.deploy.chart import CHART as SERVICE_CHART
from tests.deploy.chart import OF_THE_SERVICE, environment, of_kind, read_in, validate
from tests.deploy.chart import rendered as service_rendered
from tests.deploy.tools import DEPLOY, Manifest, built, output, setting_variables, templated

CHART = DEPLOY / "ray"
ARCHIVE = CHART / "ci" / "archive.yaml"
LEAST = (
    "--set=scan.source=s3://a/b",
    "--set=scan.out=s3://c/d",
    "--set=minio.endpoint=m:9000",
    "--set=minio.existingSecret=s",
)
RAYS_OWN = {"HOME", "PYTHONPATH", "RAY_USAGE_STATS_ENABLED"}


def rendered(*options: str) -> list[Manifest]:
    return templated("archive", CHART, "--namespace", "fraud", *options)


def of_service(name: str) -> list[str]:
    """The values of an installation of the service, then those of a scan."""
    return ["--values", str(SERVICE_CHART / "ci" / f"{name}.yaml"), "--values", str(ARCHIVE)]


def ray_job(manifests: list[Manifest]) -> Manifest:
    (job,) = of_kind(manifests, "RayJob").values()
    return job


def templates(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The templates of the pods: `head` and `workers`."""
    cluster = ray_job(manifests)["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    return {"head": cluster["headGroupSpec"]["template"], "workers": workers["template"]}


def containers(manifests: list[Manifest]) -> dict[str, Manifest]:
    found: dict[str, Any] = {}
    for name, template in templates(manifests).items():
        (found[name],) = template["spec"]["containers"]
    return found


@pytest.fixture(params=["least", "production", "gpu"])
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(*(LEAST if request.param == "least" else of_service(request.param)))


@pytest.mark.parametrize(
    "options", [LEAST, of_service("production"), of_service("gpu")], ids=["least", "production", "gpu"]
)
def test_lint(options: list[str]) -> None:
    output(built("helm.sh"), "lint", CHART, "--strict", *options)


def test_the_job_is_one_of_kuberay(manifests: list[Manifest]) -> None:
    schema = json.loads((Path(__file__).parent / "rayjob.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(ray_job(manifests), schema)
    assert len(ray_job(manifests)["metadata"]["name"]) <= 47


@pytest.mark.parametrize("version", ["1.27", "1.31", "1.34"])
def test_every_pod_and_manifest_is_valid(manifests: list[Manifest], version: str) -> None:
    pods = [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates(manifests).values()]
    for pod in pods:
        pod["metadata"] = {"name": "pod", **pod["metadata"]}
    others = [each for each in manifests if each["kind"] != "RayJob"]
    for manifest in (*pods, *others):
        validate(manifest, version)
    assert len(others) == 1


def test_pods_have_no_rights(manifests: list[Manifest]) -> None:
    for template in templates(manifests).values():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
            written = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert written == {"/tmp", "/dev/shm", "/var/lib/bonafide"}


def test_every_variable_is_a_setting_or_rays(manifests: list[Manifest]) -> None:
    for container in containers(manifests).values():
        assert set(environment(container)) <= setting_variables() | RAYS_OWN
        assert environment(container)["RAY_USAGE_STATS_ENABLED"] == "0"


def test_keys_come_from_a_secret_and_stand_in_no_argument(manifests: list[Manifest]) -> None:
    for container in containers(manifests).values():
        secret = [each for each in container["env"] if each["name"] in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")]
        assert [each["valueFrom"]["secretKeyRef"]["key"] for each in secret] == ["access-key", "secret-key"]
        assert "command" not in container
        assert "args" not in container
    assert not re.search("(?i)secret|access.key|password", ray_job(manifests)["spec"]["entrypoint"])


def test_numbers_of_a_values_file_are_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text(
        "settings: {BONAFIDE_MAX_AUDIO_BYTES: 268435456}\n"
        "scan: {imageTag: 20240601, options: [--limit, 2000000], deadlineSeconds: 1000000, ttlSeconds: 2000000}\n"
    )
    manifests = rendered(*LEAST, "--values", str(tmp_path / "numbers.yaml"))
    spec = ray_job(manifests)["spec"]
    assert shlex.split(spec["entrypoint"])[-2:] == ["--limit", "2000000"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (1_000_000, 2_000_000)
    for container in containers(manifests).values():
        assert environment(container)["BONAFIDE_MAX_AUDIO_BYTES"] == "268435456"
        assert container["image"] == "bonafide:20240601"


def test_settings_of_the_service_let_a_scan_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service.yaml").write_text(OF_THE_SERVICE + "  BONAFIDE_JOBS_PHOTOS: true\n")
    options = ("--set=models.voice=bundled", "--values", str(tmp_path / "service.yaml"))
    for container in containers(rendered(*LEAST, *options)).values():
        settings = read_in(container, monkeypatch)
        assert (settings.workers, settings.min_speech_ratio, settings.minio_endpoint) == (1, 0.3, "m:9000")


def test_the_command_is_quoted_for_the_shell() -> None:

    options = ["--set-json", 'scan.options=["--include", "*.wav; rm -rf $HOME `x` it\'s \\"q\\"", "--sample", 0.5]']
    entrypoint = ray_job(rendered(*LEAST, *options))["spec"]["entrypoint"]
    assert shlex.split(entrypoint) == [
        *("python", "-m", "scan", "s3://a/b", "--out", "s3://c/d", "--task", "voice", "--address", "auto"),
        *("--include", '*.wav; rm -rf $HOME `x` it\'s "q"', "--sample", "0.5"),
    ]
    printed = subprocess.run(["sh", "-c", f"printf '%s\\n' {entrypoint}"], capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines() == shlex.split(entrypoint)
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parser.parse_args(shlex.split(entrypoint)[3:]).address == "auto"


def test_models_and_claim_are_those_of_the_services_runner() -> None:
    service = of_kind(service_rendered(SERVICE_CHART / "ci" / "production.yaml"), "Deployment")
    for task in ("voice", "face"):
        manifests = rendered(*of_service("production"), f"--set=scan.task={task}")
        runner = service[f"release-bonafide-{task}"]["spec"]["template"]["spec"]
        name = f"BONAFIDE_{task.upper()}_MODEL"
        served = environment(runner["containers"][0])[name]
        assert served.startswith("/var/lib/bonafide/converted/")
        for container in containers(manifests).values():
            assert environment(container)[name] == served
            assert environment(container)["BONAFIDE_OFFLINE"] == "true"
            assert environment(container)["BONAFIDE_PRECISION"] == "bf16"
        claims = {v["persistentVolumeClaim"]["claimName"] for v in runner["volumes"] if "persistentVolumeClaim" in v}
        for template in templates(manifests).values():
            assert {
                volume["persistentVolumeClaim"]["claimName"]
                for volume in template["spec"]["volumes"]
                if "persistentVolumeClaim" in volume
            } == claims


def test_gpus() -> None:
    manifests = rendered(*of_service("gpu"))
    found = containers(manifests)
    assert found["workers"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in found["head"]["resources"]["limits"]
    assert found["workers"]["image"] == found["head"]["image"] == "bonafide:0.1.0-scan-cuda"
    pods = templates(manifests)
    assert pods["workers"]["spec"]["runtimeClassName"] == "nvidia"
    assert pods["workers"]["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert "nodeSelector" not in pods["head"]["spec"]
    assert containers(rendered(*of_service("production")))["workers"]["image"] == "registry.example/bonafide:0.1.0-scan"


def test_nobody_but_the_cluster_and_the_operator_reaches_ray(manifests: list[Manifest]) -> None:
    (policy,) = of_kind(manifests, "NetworkPolicy").values()
    chosen = policy["spec"]["podSelector"]
    own, operator, *metrics = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": chosen}]}
    assert operator["ports"] == [{"port": 8265}]
    assert all(each["ports"] == [{"port": 8080}] for each in metrics)
    (part,) = chosen["matchExpressions"]
    for template in templates(manifests).values():
        labels = template["metadata"]["labels"]
        assert chosen["matchLabels"].items() <= labels.items()
        assert labels[part["key"]] in part["values"]
        assert "app.kubernetes.io/name" not in labels, "KubeRay finds its pods by it"
        for spread in template["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--set=scan.out="], "scan.source and scan.out"),
        (["--set=scan.out=/results"], "which every pod reaches"),
        (["--set=scan.task=both"], "voice or face"),
        (["--set=minio.endpoint="], "minio.endpoint"),
        (["--set=minio.existingSecret="], "minio.existingSecret"),
        (["--set=networkPolicy.enabled=false"], "Ray runs what it is sent"),
        (["--set=models.voice=example/wavlm", "--set=models.download=true"], "on a volume that all pods share"),
        (["--set=models.voice=/var/lib/bonafide/x", "--set=models.volume.size=1Gi"], "scan.serviceRelease"),
    ],
)
def test_what_cannot_run_does_not_install(options: list[str], why: str) -> None:
    command = [str(built("helm.sh")), "template", "archive", str(CHART), *LEAST, *options]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert why in refused.stderr


def test_a_long_name_is_cut_where_kuberay_wants_it() -> None:
    job = ray_job(templated("a" * 46 + "-bonafide-scan"[:7], CHART, *LEAST))
    assert re.fullmatch("[a-z0-9][a-z0-9-]{0,45}[a-z0-9]", job["metadata"]["name"])


def test_releases_are_the_same_everywhere() -> None:
    """The charts, since a converted model lies below the release's name; Ray, as the image has it."""
    charts = [yaml.safe_load((chart / "Chart.yaml").read_text()) for chart in (CHART, SERVICE_CHART)]
    assert charts[0]["appVersion"] == charts[1]["appVersion"]
    named = ray_job(rendered(*LEAST))["spec"]["rayClusterSpec"]["rayVersion"]
    for lock in (
        "requirements.lock",
        "deploy/image/requirements-scan.lock",
        "deploy/image/requirements-scan-cuda.lock",
    ):
        (pinned,) = re.findall(r"^ray==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
        assert pinned == named, lock


def test_the_image_for_gpus_has_what_its_two_parts_have() -> None:
    def pinned(name: str) -> set[str]:
        text = (DEPLOY / "image" / f"requirements-{name}.lock").read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+(?:\[\S+\])?==[^\s;]+)", text, re.MULTILINE))

    assert pinned("scan-cuda") == pinned("scan") | pinned("cuda")
    assert pinned("cpu") < pinned("scan")


def test_the_defaults_are_those_of_the_services_chart() -> None:
    ours, service = (yaml.safe_load((chart / "values.yaml").read_text()) for chart in (CHART, SERVICE_CHART))

    def compare(ours: Any, service: Any, where: str) -> None:
        if isinstance(ours, dict) and isinstance(service, dict):
            for name in ours:
                compare(ours[name], service[name], f"{where}.{name}")
        else:
            assert ours == service, where

    for name in ("image", "settings", "models", "voice", "face", "minio", "topologyKeys"):
        compare(ours[name], service[name], name)
