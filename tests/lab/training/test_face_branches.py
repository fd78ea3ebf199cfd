"""The branches of the face model: taught by what a pair of networks sees, and joined to the model of before."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lab.training.face_branches import (
    EDGES,
    HERE,
    Recipe,
    Teaching,
    block_losses,
    joined,
    prepared,
    spreads_of,
    teacher,
    whole_loss,
)
from lab.training.face_distilled import GEOMETRY
from lab.training.face_export import export
from lab.training.face_steps import PairSteps, Steps
from lab.training.recipe import read_recipe
from models.convolutional_dinov2 import Dinov2WithConvolutions
from models.crop_branch import CropBranch, middle
from tests.lab.training.test_face_distilled import crops
from tests.models.test_convolutional_dinov2 import saved
from tests.published import WEIGHTS, needs_weights

SIDE = 128


def recipe() -> Recipe:
    return replace(
        read_recipe(HERE / "face-branches.yaml", Recipe), batch_size=4, block_steps=1, whole_steps=1, eval_steps=2
    )


@pytest.fixture(scope="module")
def model() -> CropBranch:
    """A teacher of the very same shape, whose norms keep differences alive through random weights."""
    torch.manual_seed(2)
    branch = CropBranch(EDGES[0])
    for module in branch.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
    with torch.no_grad():
        branch(prepared(torch.rand(8, 3, SIDE, SIDE)))
    return branch.train(False)


def steps_of(model: CropBranch, pictures: Tensor) -> Steps:
    values, ends = middle(prepared(pictures), model.edge), []
    with torch.no_grad():
        for block in model.blocks:
            values = block(values)
            ends.append(values)
    return Steps(ends[:-1], torch.sigmoid(ends[-1].squeeze(1)))


def test_who_sees_what_its_teacher_sees_loses_nothing(model: CropBranch) -> None:
    pictures = torch.rand(4, 3, SIDE, SIDE)
    steps = steps_of(model, pictures)
    spreads = spreads_of(model, [steps])
    with torch.no_grad():
        assert max(block_losses(model, pictures, steps, spreads, 0.1)) < 1e-6
        assert float(whole_loss(model, pictures, steps, spreads, 1.0, 0.1)) < 1e-6
        other = CropBranch(model.edge).train(False)
        assert min(block_losses(other, pictures, steps, spreads, 0.1)) > 1e-4
        assert float(whole_loss(other, pictures, steps, spreads, 1.0, 0.1)) > 0.1


def test_a_block_is_given_what_its_teachers_block_was_given(model: CropBranch) -> None:
    """One that is wrong harms no other, until the branch is taught as a whole."""
    pictures = torch.rand(4, 3, SIDE, SIDE)
    steps = steps_of(model, pictures)
    spreads = spreads_of(model, [steps])
    broken = CropBranch(model.edge)
    broken.load_state_dict(model.state_dict())
    broken.train(False)
    with torch.no_grad():
        next(broken.blocks[3].parameters()).zero_()
        losses = block_losses(broken, pictures, steps, spreads, 0.1)
    assert [place for place, loss in enumerate(losses) if loss > 1e-6] == [3]


@needs_weights
def test_the_published_pair_teaches(tmp_path: Path) -> None:
    learn, dev, teach = crops(8, 1), crops(8, 2, SIDE), teacher(PairSteps(WEIGHTS, 1))
    teaching = Teaching(recipe(), learn, dev, teach)
    before = [weight.clone() for weight in teaching.branches.parameters()]
    branches = teaching.run()
    assert all(not torch.equal(*pair) for pair in zip(before, teaching.branches.parameters(), strict=True))
    assert "rank correlation with the pair" in teaching.dev_figures()

    on = Teaching(recipe(), learn, dev, teach, branches)
    assert on.dev_figures() == teaching.dev_figures()

    first = Dinov2WithConvolutions.from_pretrained(saved(tmp_path / "first", image_size=SIDE)).train(False)
    both = joined(tmp_path / "first", branches, 0.5)
    export(both, GEOMETRY, tmp_path / "both")
    again = Dinov2WithConvolutions.from_pretrained(tmp_path / "both").train(False)
    assert again.config.branch_edges == list(EDGES)
    pictures = torch.rand(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        torch.testing.assert_close(again(pictures).logits, both.train(False)(pictures).logits)
        again.branches = nn.ModuleList()
        torch.testing.assert_close(again(pictures).logits, first(pictures).logits + torch.tensor([0.25, -0.25]))
