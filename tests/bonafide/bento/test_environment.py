import os
from pathlib import Path

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.serving import ensure_prometheus_dir

from bonafide.bento.environment import DEFAULTS, METRICS_FOLDER, prepare_environment
from bonafide.bento.own_folder import PREFIX


@pytest.mark.parametrize("folder", ["{file}/metrics", "{file}", "/proc", "/proc/metrics"])
def test_a_folder_for_metrics_that_cannot_be_written_is_a_sentence(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in DEFAULTS:
        monkeypatch.setenv(name, "1")
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv(METRICS_FOLDER, folder.format(file=file))
    with pytest.raises(SystemExit, match=r"^Bonafide cannot start: no folder for metrics \(PROMETHEUS"):
        prepare_environment()


@pytest.mark.parametrize("given", [None, ""])
def test_bentoml_empties_a_folder_of_its_own(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in DEFAULTS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv(METRICS_FOLDER, "")
    if given is None:
        monkeypatch.delenv(METRICS_FOLDER)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").touch()
    before = BentoMLContainer.prometheus_multiproc_dir.get()
    try:
        prepare_environment()
        made = Path(os.environ[METRICS_FOLDER])
        (made / "counter_1.db").touch()
        assert Path(ensure_prometheus_dir()) == made
    finally:
        BentoMLContainer.prometheus_multiproc_dir.set(before)
    assert made.parent.name.startswith(PREFIX)
    assert list(made.iterdir()) == []
    assert (tmp_path / "precious").exists()
