"""Which share of windows is not judged: the measurement behind a setting's default."""

import json
from pathlib import Path

import numpy as np
import pytest

from lab.evaluation.speech_shares import main
from tests.media import encode, speech_like


def row(shown: str, name: str) -> list[str]:
    (line,) = [line for line in shown.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


@pytest.mark.usefixtures("models_in_workspace")
def test_manifests_count_their_bona_fide_windows_and_folders_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = np.zeros(64_000, np.float32)
    voice = np.concatenate([speech_like(4.0)[0], silence])
    rows = []
    for index, attack in enumerate(("-", "-", "espeak")):
        (tmp_path / f"{index}.wav").write_bytes(encode(voice, 16_000))
        label = "bonafide" if attack == "-" else "spoof"
        facts = {"subject": f"s{index}", "source": f"source-{index}", "licence": "MIT", "split": "dev"}
        rows.append({"path": f"{index}.wav", "label": label, "attack": attack, **facts})
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "quiet.flac").write_bytes(encode(silence, 16_000, "flac"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torn.wav").write_bytes(b"no recording")
    main([str(tmp_path / "manifest.jsonl"), str(tmp_path / "music"), str(tmp_path / "broken")])
    shown = capsys.readouterr().out
    assert row(shown, "source-0") == row(shown, "source-1") == ["2", *["50.0 %"] * 4]
    assert row(shown, "all of these") == ["4", *["50.0 %"] * 4]
    assert row(shown, "music") == ["1", *["100.0 %"] * 4]
    assert row(shown, "broken") == ["0", *["-"] * 4]
    assert "source-2" not in shown
    assert row(shown, "made-up noises and silence")[-1] == "100.0 %"


def test_what_is_no_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "absent.jsonl")])
    assert stopped.value.code == 2
    assert "neither a manifest" in capsys.readouterr().err
    (tmp_path / "wrong.jsonl").write_text("{")
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "wrong.jsonl")])
    assert stopped.value.code == 2
