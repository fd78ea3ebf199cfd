from pathlib import Path

import pytest

from bonafide.bento.environment import DEFAULTS, METRICS_FOLDER, prepare_environment


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
