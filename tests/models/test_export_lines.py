"""The lines of docs/models.md that export a research detector, run as they stand on a small one."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from models.manifest import main as manifest_main
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import TINY_WAVE, options, windows

PAGE = Path(__file__).parents[2] / "docs/models.md"


class Research(nn.Module):
    """What repositories publish: a body, its layers weighed, their mean over time, one logit that rises with spoof."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Wav2Vec2Model(Wav2Vec2Config(**TINY_WAVE))
        self.layer_weights = nn.Parameter(torch.zeros(2))
        self.head = nn.Linear(32, 1)

    def forward(self, samples: Tensor) -> Tensor:
        hidden = self.backbone(samples, output_hidden_states=True).hidden_states
        weights = torch.softmax(self.layer_weights, dim=0)
        logits: Tensor = self.head((torch.stack(hidden) * weights[:, None, None, None]).sum(0).mean(dim=1)).squeeze(-1)
        return logits


def exported_by_the_page() -> str:
    block = re.search(r"```\n(import torch\n.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block, "docs/models.md has no lines that export"
    return block[1]


def test_the_lines_are_few() -> None:
    lines = [line for line in exported_by_the_page().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 10


@pytest.mark.filterwarnings("ignore")
def test_a_detector_exported_by_the_lines_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = Research().eval()
    with torch.no_grad():
        model.head.weight.mul_(10)
    torch.save(model.state_dict(), "best.pth")
    names: dict[str, Any] = {"build_model": lambda config: Research(), "config": None}
    exec(exported_by_the_page(), names)  # noqa: S102  # our own page
    folder = tmp_path / "detector"
    folder.mkdir()
    (tmp_path / "model.onnx").rename(folder / "model.onnx")
    manifest_main(["--init", str(folder / "model.onnx")])
    words = json.loads((folder / "bonafide.json").read_text())
    words |= {"name": "research", "version": "1", "licence": "MIT"}
    words["input"] |= {"window": {"samples": 64_000, "short": "zero_pad"}, "scale": "z_score"}
    words["output"] |= {"kind": "logits", "spoof": "higher"}
    (folder / "bonafide.json").write_text(json.dumps(words))
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path))
    samples = torch.from_numpy(np.stack(windows())).float() / 32768
    normal = (samples - samples.mean(1, keepdim=True)) / (samples.std(1, keepdim=True, correction=0) + 1e-7)
    with torch.inference_mode():
        expected = torch.sigmoid(model(normal)).numpy()
    assert expected.std() > 0.03
    np.testing.assert_allclose(detector.score(windows()), expected, atol=1e-3)
