"""Shares of real speech that are refused over calls."""

import numpy as np
import pytest

from lab.line import gsm, opus
from lab.line.samples import Samples
from lab.training import calls_table


@pytest.mark.skipif(bool(gsm.missing() or opus.missing()), reason=gsm.missing() or opus.missing())
def test_the_threshold_is_that_of_windows_as_they_are() -> None:
    random = np.random.default_rng(0)
    windows = [random.normal(0, 0.05, 64_000).astype(np.float32) for _ in range(8)]
    groups = ["corpora"] * 4 + ["packages"] * 4

    def dullness(samples: Samples) -> Samples:
        """High for lines that pass nothing above 4 kHz."""
        power = np.abs(np.fft.rfft(samples)) ** 2
        return np.asarray(-power[:, power.shape[1] // 2 :].sum(1) / power.sum(1), np.float32)

    head, ruler, row = calls_table.table(windows, groups, {"dullness": dullness})
    lines = [cell.strip() for cell in head.strip("|").split("|")]
    assert lines == ["refused (corpora, packages)", "clean", *calls_table.LINES]
    assert ruler.count("---") == len(lines)
    cells = dict(zip(lines, [cell.strip() for cell in row.strip("|").split("|")], strict=True))
    assert cells["clean"] in ("25 %, 0 %", "0 %, 25 %")  # one of eight lies above the quantile
    assert cells["gsm"] == cells["amr"] == cells["mu-law"] == "100 %, 100 %"


def test_without_an_encoder_its_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsm, "library", lambda *_: None)
    with pytest.raises(RuntimeError, match="gsm: no encoder: libgsm"):
        calls_table.table([np.ones(64_000, np.float32)], ["a"], {})
