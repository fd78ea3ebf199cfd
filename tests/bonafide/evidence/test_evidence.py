import asyncio
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from bonafide import __version__
from bonafide.calls import Call
from bonafide.errors import Unavailable
from bonafide.evidence.evidence import Evidence
from bonafide.evidence.log import EvidenceLog
from bonafide.settings import Settings
from bonafide.settings.errors import WrongFile
from tests.bonafide.evidence.signing import judgement, key_file, part, payload, private_pem


def evidence(folder: Path, *, required: bool = True) -> Evidence:
    settings = Settings(evidence_key=key_file(folder / "key"), evidence_log=folder / "log", evidence_required=required)
    made = Evidence.from_settings(settings)
    assert made is not None
    return made


async def test_a_record_has_every_fact_of_the_verdict(tmp_path: Path) -> None:
    kept = evidence(tmp_path)
    record = await kept.record(judgement(), Call.within(1, request_id="r-1", task_id="t-1"))
    found = payload(record)
    assert found["media"] == {"sha256": hashlib.sha256(b"media").hexdigest(), "bytes": 5}
    assert (found["request_id"], found["task_id"], found["task"], found["source"]) == ("r-1", "t-1", "voice", "upload")
    assert found["model"]["fingerprint"] == "0123456789ab-torch-cpu-fp32"
    assert (found["model"]["engine"], found["model"]["precision"]) == ("torch", "fp32")
    assert found["calibration"] == {"calibrated": False, "threshold": None}
    assert (found["threshold"], found["score"], found["label"]) == (0.5, 0.25, "bonafide")
    said = found["decision"], found["llr"], found["partially_spoofed"], found["conditions"], found["hop_seconds"]
    assert said == ("uncertain", -1.5, True, ["noise"], 2.0)
    assert (found["channel_mode"], found["channel"]) == ("separate", "caller")
    assert found["windows"] == [[0.0, 4.0, 0.25, 0.5]]
    assert found["software"] == {"name": "bonafide", "version": __version__}
    assert found["time"].endswith("Z")
    assert part(record, 0)["kid"] == kept.jwks()["keys"][0]["kid"]
    await kept.close()


async def test_records_of_concurrent_calls_are_one_chain(tmp_path: Path) -> None:
    kept = evidence(tmp_path)
    records = await asyncio.gather(*[kept.record(judgement(), Call.within(1)) for _ in range(20)])
    await kept.close()
    (log,) = (tmp_path / "log").iterdir()
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted(records)
    for before, line in pairwise(lines):
        assert payload(line)["log"]["previous"] == hashlib.sha256(before.encode()).hexdigest()
    assert [payload(line)["log"]["number"] for line in lines] == list(range(20))


@pytest.mark.parametrize("required", [True, False])
async def test_what_happens_when_the_log_cannot_be_written(
    tmp_path: Path, required: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = evidence(tmp_path, required=required)

    def full(self: EvidenceLog, make: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EvidenceLog, "append", full)
    if required:
        with pytest.raises(Unavailable, match="evidence"):
            await kept.record(judgement(), Call.within(1))
    else:
        assert payload(await kept.record(judgement(), Call.within(1)))["log"] is None
    await kept.close()


def test_key_and_log_go_together(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="go together"):
        Settings(evidence_key=tmp_path)
    assert Evidence.from_settings(Settings()) is None


def test_at_the_start_the_setting_of_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = Settings(evidence_key=tmp_path / "key.pem", evidence_log=tmp_path / "log")
    with pytest.raises(WrongFile, match=r"^BONAFIDE_EVIDENCE_KEY: .*No such file"):
        Evidence.from_settings(missing)


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert f'\nversion = "{__version__}"\n' in project


async def test_the_key_is_in_no_log_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    key = Ed25519PrivateKey.generate()
    path = key_file(tmp_path / "key", private_pem(key))
    made = Evidence.from_settings(Settings(evidence_key=path, evidence_log=tmp_path / "log"))
    assert made is not None
    await made.record(judgement(), Call.within(1))
    await made.close()
    secret = private_pem(key).decode().splitlines()[1]
    assert secret not in caplog.text
