"""The Helm chart rendered by the real Helm, and what its manifests say."""

import os
import warnings
from functools import cache
from pathlib import Path
from unittest.mock import patch

import kubernetes_validate.utils
import pytest

from bonafide.environment import read_settings
from bonafide.settings import Settings
from tests.deploy.tools import DEPLOY, Manifest, templated

CHART = DEPLOY / "helm" / "bonafide"
WITH_JOBS = CHART / "ci" / "jobs.yaml"
OF_THE_SERVICE = """
redis: {host: redis}
minio: {endpoint: "minio:9000", existingSecret: minio}
security: {tlsSecret: tls}
models: {download: true, voice: example/model, face: example/model}
envFrom: [{secretRef: {name: more}}]
settings:
  BONAFIDE_WORKERS: 2
  BONAFIDE_TLS_CLIENT_CA: /etc/ca.crt
  BONAFIDE_GENESYS: true
  BONAFIDE_GENESYS_API_KEY: key
  BONAFIDE_TWILIO_URL: wss://calls.example/ws/twilio
  BONAFIDE_EVIDENCE_LOG: /tmp/evidence
  BONAFIDE_MIN_SPEECH_RATIO: 0.3
  BONAFIDE_CALL_TIMEOUT_S: 90
"""
"""Values with settings that only the service reads, and two that all read."""


def rendered(values: Path, *options: str) -> list[Manifest]:
    return templated("release", CHART, "--namespace", "fraud", "--values", values, *options)


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}


def environment(container: Manifest) -> dict[str, str]:
    return {each["name"]: each.get("value", "from a secret") for each in container["env"]}


def read_in(container: Manifest, patch: pytest.MonkeyPatch, **from_secrets: str) -> Settings:
    """The settings as the process in a container reads them; a container with `envFrom` has `from_secrets` too."""
    with patch.context() as patched:
        for name in os.environ:
            if name.startswith(("BONAFIDE_", "REDIS_", "MINIO_")):
                patched.delenv(name)
        given = {each["name"]: each.get("value", "a secret of some length") for each in container["env"]}
        for name, value in (given | (from_secrets if "envFrom" in container else {})).items():
            patched.setenv(name, value)
        return read_settings()


_schema = cache(kubernetes_validate.utils.schema_contents)
"""The validator reads all definitions of a version, megabytes, for each manifest."""
_versions = cache(kubernetes_validate.utils.all_versions)
"""It also looks twice for which versions there are."""


def validate(manifest: Manifest, version: str) -> None:
    once = patch.multiple(kubernetes_validate.utils, schema_contents=_schema, all_versions=_versions)
    with warnings.catch_warnings(), once:
        warnings.simplefilter("ignore")  # the validator's own, about its resolver
        kubernetes_validate.validate(manifest, version, strict=True)


def pod_of(manifests: list[Manifest], name: str) -> Manifest:
    pod: Manifest = of_kind(manifests, "Deployment")[name]["spec"]["template"]["spec"]
    return pod
