import pytest

from models.heads.fairseq_names import TRAINING_ONLY, fairseq_name, family, transformers_name
from tests.models.heads.files import HUBERT_LARGE, WAV2VEC2_SMALL, BodySize, body, quantizer, wavlm

SIZES = [BodySize(), WAV2VEC2_SMALL, HUBERT_LARGE]


@pytest.mark.parametrize("size", SIZES, ids=["xlsr", "wav2vec2", "hubert"])
def test_each_name_has_one_in_transformers_and_the_way_back(size: BodySize) -> None:
    names = [name for name in wavlm(size, "", heads=16) if not TRAINING_ONLY.fullmatch(name)]
    ours = [transformers_name(name) for name in names]
    assert len(set(ours)) == len(names)
    assert [fairseq_name(name or "", frame_norm=size.frame_norm) for name in ours] == names


def test_the_objective_of_training_is_no_part_of_a_body() -> None:
    names = [*quantizer(BodySize(), ""), "mask_emb", "label_embs_concat"]
    assert all(TRAINING_ONLY.fullmatch(name) and transformers_name(name) is None for name in names)


@pytest.mark.parametrize("name", ["encoder.layers.0.fc3.weight", "encoder.layers.x.fc1.weight", "decoder.weight", ""])
def test_other_names_are_none_of_a_body(name: str) -> None:
    assert transformers_name(name) is None


def test_families_are_told_apart_by_what_only_one_has() -> None:
    shapes = body(BodySize(), "")
    assert family(shapes) == "wav2vec2"
    assert family([*shapes, "label_embs_concat"]) == "hubert"
    assert family(wavlm(BodySize(), "", heads=16)) == "wavlm"
