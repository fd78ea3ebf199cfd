"""Each module against logits of the program that published it, run once on the same weights and samples.

The programs were: clovaai/aasist; the RawNet2 baseline of asvspoof-challenge/2021; TakHemlata/SSL_Anti-spoofing,
QiShanZhang/SLSforASVspoof-2021-DF, Liu-Tianchi/Nes2Net_ASVspoof_ITW and nii-yamagishilab/AntiDeepfake, with bodies of
fairseq (`ve-fairseq` 0.12.3). WavLM's body is Microsoft's module, as `deepfense` 0.2.2 carries it.
"""

import numpy as np
import pytest
import torch

from models.heads.kinds import KIND_OF, filled, recognised
from models.weights import read_state
from tests.models.heads.files import HUBERT_LARGE, OWN_SSL, WAV2VEC2_SMALL, Shapes, body, head, research_file, wavlm
from tests.models.heads.lively import lively, voices
from tests.published import WEIGHTS, needs_weights, reference

Logits = list[list[float]]
HUBERT = {f"{OWN_SSL}label_embs_concat": (20, 16), f"{OWN_SSL}final_proj.weight": (16, 1024)}


def antideepfake(given: Shapes) -> Shapes:
    return given | head("antideepfake", given)


# Of AASIST-L one window, for time: the same parts are given two behind XLS-R.
CASES: dict[str, tuple[str, Shapes, float, Logits]] = {
    "aasist-l": (
        "aasist-l",
        research_file("aasist-l"),
        0.9,
        [[-0.194372, 0.304202]],
    ),
    "rawnet2": (
        "rawnet2",
        research_file("rawnet2"),
        1.6,
        [[-0.108484, -2.274906], [-0.164835, -1.884098]],
    ),
    "xlsr-aasist": (
        "xlsr-aasist",
        research_file("xlsr-aasist"),
        0.9,
        [[-0.105769, 1.546076], [-0.573942, 1.951635]],
    ),
    "xlsr-sls": (
        "xlsr-sls",
        research_file("xlsr-sls"),
        0.5,
        [[-0.478588, -0.966684], [-0.448844, -1.017121]],
    ),
    "xlsr-nes2net": (
        "xlsr-nes2net",
        research_file("xlsr-nes2net"),
        0.8,
        [[-0.109671, -0.652192], [-0.016852, -0.775373]],
    ),
    "antideepfake, XLS-R": (
        "antideepfake",
        research_file("antideepfake"),
        1.6,
        [[-0.401249, 1.363033], [-0.574456, 0.638372]],
    ),
    "antideepfake, wav2vec 2.0 base": (
        "antideepfake",
        research_file("antideepfake", WAV2VEC2_SMALL),
        1.6,
        [[-0.44697, -1.968754], [-0.616558, -1.719865]],
    ),
    "antideepfake, HuBERT": (
        "antideepfake",
        antideepfake(body(HUBERT_LARGE, OWN_SSL) | HUBERT),
        1.6,
        [[0.349672, 0.287965], [0.390151, 0.482045]],
    ),
    "WavLM base, pooled": (
        "antideepfake",
        antideepfake(wavlm(WAV2VEC2_SMALL, OWN_SSL, heads=12)),
        1.6,
        [[-0.423978, -1.846715], [-0.587779, -1.725299]],
    ),
    "WavLM large, pooled": (
        "antideepfake",
        antideepfake(wavlm(HUBERT_LARGE, OWN_SSL, heads=16)),
        1.6,
        [[0.353326, 0.291575], [0.363703, 0.477855]],
    ),
}
LOG_PROBABILITIES = ("rawnet2", "xlsr-sls")
"""The original program gives these instead of logits."""


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_original_program(case: str) -> None:
    kind, shapes, gain, expected = CASES[case]
    state = lively(shapes, gain)
    assert recognised(state, "file.pth").name == kind
    model = filled(state, KIND_OF[kind], "file.pth")
    with torch.inference_mode():
        logits = model(voices(2, KIND_OF[kind].window_samples)[: len(expected)])
    if kind in LOG_PROBABILITIES:
        logits = torch.log_softmax(logits, dim=1)
    torch.testing.assert_close(logits, torch.tensor(expected), rtol=0, atol=1e-4)


@needs_weights
@pytest.mark.parametrize("name", ["aasist-asvspoof2019la", "aasist-l-asvspoof2019la", "aasist-asvspoof5"])
def test_published_weights_give_the_published_programs_logits(name: str) -> None:
    """On one window, for time."""
    state = read_state(WEIGHTS / f"{name}.pth")
    kind = recognised(state, name)
    assert kind.name == ("aasist-l" if "aasist-l" in name else "aasist")
    model = filled(state, kind, name)
    expected = reference(name)[:1]
    samples = torch.from_numpy(reference("pcm")[:1].astype(np.float32) / 32768)
    with torch.inference_mode():
        logits = model(samples).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
