"""Settings of the chart's values, as the processes in the pods read them."""

from pathlib import Path

import pytest

from bonafide.settings import Settings
from tests.deploy.chart import CHART, OF_THE_SERVICE, environment, of_kind, pod_of, read_in, rendered


@pytest.mark.parametrize(("drain", "wanted"), [(20, 40), (600, 620)])
def test_a_pod_may_stay_for_its_drain(drain: int, wanted: int) -> None:
    for name in ("release-bonafide", "release-bonafide-voice", "release-bonafide-face"):
        manifests = rendered(CHART / "ci" / "defaults.yaml", "--set", f"drainSeconds={drain}")
        pod = of_kind(manifests, "Deployment")[name]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["terminationGracePeriodSeconds"] == wanted
        assert environment(container)["BONAFIDE_DRAIN_S"] == str(drain)
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]


@pytest.mark.parametrize(
    ("given", "wanted"), [("600", 620), ('"600"', 620), ("0", 20), ("0.5", 21), ('""', 40), ("null", 620)]
)
def test_a_pod_may_stay_for_a_drain_of_the_settings(tmp_path: Path, given: str, wanted: int) -> None:
    (tmp_path / "values.yaml").write_text(f"drainSeconds: 600\nsettings: {{BONAFIDE_DRAIN_S: {given}}}\n")
    manifests = rendered(CHART / "ci" / "defaults.yaml", "--values", str(tmp_path / "values.yaml"))
    for deployment in of_kind(manifests, "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == wanted
        set_to = environment(pod["containers"][0])["BONAFIDE_DRAIN_S"]
        assert set_to == ("600" if given == "null" else given.strip('"'))
        assert float(set_to or Settings.model_fields["drain_s"].default) + 5 + 15 <= wanted


def test_other_settings_leave_the_drain_to_the_chart() -> None:
    pod = pod_of(rendered(CHART / "ci" / "production.yaml"), "release-bonafide")
    assert pod["terminationGracePeriodSeconds"] == 60 + 5 + 15
    assert environment(pod["containers"][0])["BONAFIDE_DRAIN_S"] == "60"


def test_settings_win_over_the_chart_also_where_they_are_zero_false_or_empty(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(
        "models: {download: true}\n"
        "minio: {endpoint: 'm:9000', existingSecret: minio, allowedBuckets: [calls]}\n"
        "settings:\n"
        "  BONAFIDE_GRPC_MAX_CONNECTION_AGE_S: 0\n"
        "  MINIO_SECURE: false\n"
        "  BONAFIDE_ALLOWED_BUCKETS: ''\n"
        "  BONAFIDE_ALLOW_PUBLIC: false\n"
        "  BONAFIDE_OFFLINE: false\n"
    )
    manifests = rendered(CHART / "ci" / "defaults.yaml", "--values", str(tmp_path / "values.yaml"))
    service, voice = (
        environment(pod_of(manifests, f"release-bonafide{each}")["containers"][0]) for each in ("", "-voice")
    )
    assert service["BONAFIDE_GRPC_MAX_CONNECTION_AGE_S"] == "0"
    assert service["MINIO_SECURE"] == service["BONAFIDE_ALLOW_PUBLIC"] == voice["BONAFIDE_OFFLINE"] == "false"
    assert service["BONAFIDE_ALLOWED_BUCKETS"] == ""
    assert voice["BONAFIDE_ALLOW_PUBLIC"] == "true", "a runner would not start: the network policy keeps others out"


NUMBERS = """
image: {tag: 20240601}
models: {download: true, voice: example/model, converter: {imageTag: 20240602}}
settings:
  BONAFIDE_MAX_INFLIGHT_BYTES: 268435456
  BONAFIDE_MAX_AUDIO_BYTES: 1000000
  BONAFIDE_CALL_TIMEOUT_S: 0.5
  BONAFIDE_GRPC_PORTS: [50051, 50052]
  BONAFIDE_CHANNEL_NAMES: [agent, caller]
  BONAFIDE_FACE_CROP: true
  BONAFIDE_KEYS: "1000000"
"""
AS_TEXT = {
    "BONAFIDE_MAX_INFLIGHT_BYTES": "268435456",
    "BONAFIDE_MAX_AUDIO_BYTES": "1000000",
    "BONAFIDE_CALL_TIMEOUT_S": "0.5",
    "BONAFIDE_GRPC_PORTS": "50051,50052",
    "BONAFIDE_CHANNEL_NAMES": "agent,caller",
    "BONAFIDE_FACE_CROP": "true",
    "BONAFIDE_KEYS": "1000000",
}


def test_numbers_and_lists_of_a_values_file_are_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text(NUMBERS)
    manifests = rendered(CHART / "ci" / "defaults.yaml", "--values", str(tmp_path / "numbers.yaml"))
    assert AS_TEXT.items() <= environment(pod_of(manifests, "release-bonafide")["containers"][0]).items()
    pod = pod_of(manifests, "release-bonafide-voice")
    (convert,), (runner,) = pod["initContainers"], pod["containers"]
    for container in (convert, runner):
        read = ("BONAFIDE_MAX_INFLIGHT_BYTES", "BONAFIDE_MAX_AUDIO_BYTES", "BONAFIDE_CALL_TIMEOUT_S")
        assert {name: environment(container)[name] for name in read} == {name: AS_TEXT[name] for name in read}
    assert (runner["image"], convert["image"]) == ("bonafide:20240601", "bonafide:20240602")


FROM_SECRETS = {
    "BONAFIDE_GENESYS_CLIENT_SECRET": "MDEyMzQ1Njc4OWFiY2RlZg==",
    "BONAFIDE_TWILIO_AUTH_TOKEN": "token",
    "BONAFIDE_EVIDENCE_KEY": "/tmp/key",
}


@pytest.mark.parametrize("jobs", [False, True])
def test_settings_of_the_service_let_runners_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, jobs: bool
) -> None:
    more = "  BONAFIDE_JOBS: true\n  BONAFIDE_JOBS_PHOTOS: true\njobs: {enabled: true}\nphotojobs: {enabled: true}\n"
    (tmp_path / "values.yaml").write_text(OF_THE_SERVICE + (more if jobs else ""))
    deployments = of_kind(
        rendered(CHART / "ci" / "defaults.yaml", "--values", str(tmp_path / "values.yaml")), "Deployment"
    )
    assert len(deployments) == (5 if jobs else 3)
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            settings = read_in(container, monkeypatch, **FROM_SECRETS)
            assert settings.min_speech_ratio == 0.3
            assert settings.call_timeout_s == 90
            assert settings.workers == (2 if name == "release-bonafide" else 1)
        (container,) = pod["containers"]
        judges_jobs = name in ("release-bonafide", "release-bonafide-jobs", "release-bonafide-photojobs")
        assert read_in(container, monkeypatch, **FROM_SECRETS).jobs == (jobs and judges_jobs)


def test_a_model_is_prepared_without_the_storage_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of the bucket are the service's alone, and an endpoint without keys stops a start."""
    (tmp_path / "values.yaml").write_text(
        "models: {download: true, voice: example/model}\n"
        "minio: {endpoint: 'm:9000', existingSecret: minio}\n"
        "settings: {MINIO_ENDPOINT: 'other:9000'}\n"
    )
    manifests = rendered(CHART / "ci" / "defaults.yaml", "--values", str(tmp_path / "values.yaml"))
    (preparing,) = pod_of(manifests, "release-bonafide-voice")["initContainers"]
    assert read_in(preparing, monkeypatch).minio_endpoint is None
    (service,) = pod_of(manifests, "release-bonafide")["containers"]
    assert read_in(service, monkeypatch).minio_endpoint == "other:9000"
