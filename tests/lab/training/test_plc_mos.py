"""PLCMOS' convolutions are read from the wheel's file."""

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lab.training import plc_mos
from models.power_branch import PowerBranch


def test_weights_are_read_from_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(4)
    made = PowerBranch(plc_mos.CHANNELS)
    weights = [
        numpy_helper.from_array(tensor.detach().numpy(), f"in_blocks.0.conv{number}.{name}")
        for number, layer in enumerate(made.convolutions, 1)
        for name, tensor in layer.named_parameters()
    ]
    nothing = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    file = tmp_path / "speechmos/plcmos_models/plcmos_v2.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(helper.make_model(helper.make_graph([], "plcmos", [], [nothing], weights)), str(file))
    monkeypatch.setattr(plc_mos, "fetch", lambda _wheel: tmp_path)
    for mine, theirs in zip(plc_mos.branch().convolutions, made.convolutions, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
