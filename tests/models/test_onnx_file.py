"""What an ONNX file may have read: nothing outside of its folder. Torn and hostile files end in a sentence."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import onnx_file
from models.errors import UnsupportedModel
from models.onnx_file import check_onnx
from models.voice_model import VoiceSpoofModel
from tests.models.checkpoints import options, windows
from tests.models.onnx_files import field, model, node, port, save, tensor, varint, voice_manifest, voice_onnx

WEIGHTS = np.array([[4.0, -4.0]], np.float32)


def external(location: str, **more: str) -> bytes:
    """`voice_onnx` with its weights in another file."""
    nodes = [
        node("Mul", ["samples", "samples"], "square"),
        node("ReduceMean", ["square"], "mean", axes=[1], keepdims=1),
        node("MatMul", ["mean", "weights"], "logits"),
    ]
    weights = tensor("weights", WEIGHTS, {"location": location, **more})
    return model(nodes, [weights], [port("samples", ("n", "samples"))], [port("logits", ("n", 2))])


def test_weights_beside_it_are_read_and_belong_to_its_version(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", external("weights.bin"), voice_manifest())
    (folder / "weights.bin").write_bytes(WEIGHTS.tobytes())
    assert check_onnx(folder / "model.onnx") == [folder / "model.onnx", folder / "weights.bin"]
    detector = VoiceSpoofModel.load(str(folder), options(tmp_path))
    inside = VoiceSpoofModel.load(str(save(tmp_path / "i", voice_onnx(), voice_manifest())), options(tmp_path))
    np.testing.assert_allclose(detector.score(windows()), inside.score(windows()), atol=1e-6)
    (folder / "weights.bin").write_bytes((2 * WEIGHTS).tobytes())
    assert VoiceSpoofModel.load(str(folder), options(tmp_path)).info.version != detector.info.version


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "missing.bin", "link", "a\0b", "", ".", "sub/../../secret"]
)
def test_weights_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(WEIGHTS.tobytes())
    folder = save(tmp_path / "m", external(name), voice_manifest())
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsupportedModel, match="which is no file within its folder"):
        VoiceSpoofModel.load(str(folder), options(tmp_path))


def test_weights_elsewhere_are_found_wherever_a_tensor_may_lie(tmp_path: Path) -> None:
    hidden = tensor("t", WEIGHTS, {"location": "../secret"})
    graph = field(5, hidden)
    attributes = [field(5, hidden), field(10, hidden), field(6, graph), field(11, graph), field(22, field(1, hidden))]
    nested = [field(7, field(1, field(5, attribute))) for attribute in attributes]
    others = [field(7, graph), field(7, field(15, field(2, hidden))), field(25, field(7, field(5, attributes[0])))]
    for content in [*nested, *others, field(20, field(1, graph))]:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(UnsupportedModel, match="within its folder"):
            check_onnx(tmp_path / "model.onnx")


def test_a_field_number_that_a_parser_may_cut_to_32_bits_is_refused(tmp_path: Path) -> None:
    payload = field(5, tensor("t", WEIGHTS, {"location": "../secret"}))
    (tmp_path / "model.onnx").write_bytes(varint((1 << 32) | 7 << 3 | 2) + varint(len(payload)) + payload)
    with pytest.raises(UnsupportedModel, match="a part of unknown kind"):
        check_onnx(tmp_path / "model.onnx")


def test_sizes_depths_and_counts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    with pytest.raises(UnsupportedModel, match="no file of 1 byte"):
        check_onnx(path)
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        check_onnx(tmp_path / "nothing.onnx")
    with path.open("wb") as stream:
        stream.truncate((2 << 30) + 1)
    with pytest.raises(UnsupportedModel, match="no file of 1 byte to 2 GiB"):
        check_onnx(path)
    graph = b""
    for _ in range(60):
        graph = field(1, field(5, field(6, graph)))
    path.write_bytes(field(7, graph))
    with pytest.raises(UnsupportedModel, match="too deep"):
        check_onnx(path)
    monkeypatch.setattr(onnx_file, "_MAX_FIELDS", 1000)
    path.write_bytes(field(7, field(1, b"") * 1001))
    with pytest.raises(UnsupportedModel, match="more parts"):
        check_onnx(path)


def refusal(path: Path) -> str | None:
    """Why it is refused, or None."""
    try:
        check_onnx(path)
    except UnsupportedModel as error:
        return str(error)
    return None


@given(st.binary(min_size=1, max_size=300), st.integers(0, 400))
def test_any_bytes_give_a_sentence_or_pass(noise: bytes, at: int) -> None:
    whole = external("weights.bin")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for content in (noise, whole[:at] + noise + whole[at:], whole[:at] or b"\0"):
            path.write_bytes(content)
            said = refusal(path)
            assert said is None or len(said.splitlines()) == 1
