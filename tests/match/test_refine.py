"""Refining by gradients: what it gains, what it leaves alone, what it cannot do."""

import numpy as np
import pytest
import torch

import graphmerge as gm
from graphmerge.checkpoint import load_model
from graphmerge.demo import data as demo
from graphmerge.errors import InputError
from graphmerge.match.halfway import Halfway
from graphmerge.match.refine import CHECK, refine_match
from graphmerge.merge.inputs import read_inputs


@pytest.fixture(scope="module")
def pair():
    a, b = (load_model(demo.folder("gpt2", seed)).model for seed in (1, 2))
    return a, b, gm.trace(a).symmetry(), list(demo.batches("gpt2", "calibration", 6, size=16))


def halfway(a, b, batches, loss=None):
    return Halfway(*read_inputs([a, b]), batches, loss, torch.device("cpu"))


def test_a_pair_of_trained_models(pair):
    """The barrier falls on batches that no gradient has seen, and on other text; the same steps give the same."""
    a, b, symmetry, batches = pair
    start = gm.match(a, b, symmetry, "activations", batches, groups="*").permutations
    names = tuple(symmetry.by_name)
    found = refine_match(halfway(a, b, batches), start, names, 4 * CHECK)
    assert len(found.barriers) == 5
    assert min(found.barriers) < 0.9 * found.barriers[0]
    assert halfway(a, b, batches).barrier(found.permutations) == min(found.barriers)
    assert refine_match(halfway(a, b, batches), start, names, 4 * CHECK).permutations == found.permutations
    other = list(demo.batches("gpt2", "validation", 4))
    before, after = (gm.barrier(a, b, other, p, points=3).barrier for p in (start, found.permutations))
    assert after < 0.95 * before


def test_what_is_exact_stays(pair):
    a, _, symmetry, batches = pair
    p = symmetry.random(seed=5)
    found = gm.match(a, p.apply(a), symmetry, "activations", batches)
    assert found.permutations == p.inverse()
    assert found.barriers == pytest.approx([0], abs=1e-6)
    assert not any("refined" in note for note in found.notes)


def test_other_groups_stand(pair):
    a, b, symmetry, batches = pair
    start = symmetry.random(seed=2)
    moving = ("layers.0.ffn", "layers.1.heads", "layers.1.qk", "layers.1.v")
    search = refine_match(halfway(a, b, batches), start, moving, 3 * CHECK)
    assert search.permutations != start
    for name in symmetry.by_name:
        assert name in moving or np.array_equal(search.permutations.arrays[name], start.arrays[name])


def test_when_it_is_done_by_default(pair):
    a, b, symmetry, batches = pair
    assert gm.match(a, b, symmetry, "weights", batches, groups="ffn").barriers == ()
    assert gm.match(a, b, symmetry, "weights", batches, options={"refine": 0}).barriers == ()
    assert gm.match(a, b, symmetry, "weights").barriers == ()
    found = gm.match(a, b, symmetry, "weights", batches, groups="ffn", options={"refine": 5})
    assert len(found.barriers) == 2
    assert found.notes[-1].startswith("refined by gradients in 5 steps: the barrier halfway went from ")


def flat(model, batch):
    """A loss without a gradient."""
    with torch.no_grad():
        return float(model(**batch).loss)


def test_a_loss_without_a_gradient(pair):
    a, b, symmetry, batches = pair
    found = gm.match(a, b, symmetry, "weights", batches[:3], loss=flat)
    assert found.notes[-1] == "not refined: the loss has no gradient to refine by"
    with pytest.raises(InputError, match="no gradient to refine by"):
        gm.match(a, b, symmetry, "weights", batches[:3], loss=flat, options={"refine": 4})


@pytest.mark.parametrize(
    ("method", "data", "refine", "message"),
    [
        ("weights", None, 3, "refine goes by the loss on calibration data, and there is no calibration data"),
        ("identity", [], 3, "refine goes by the loss on calibration data, and the identity is left as it is"),
        ("weights", [], -1, "refine is -1; it is a number of steps from 0 to 1,000,000"),
    ],
)
def test_what_cannot_be_refined(pair, method, data, refine, message):
    a, b, symmetry, _ = pair
    with pytest.raises(InputError) as error:
        gm.match(a, b, symmetry, method, data, options={"refine": refine})
    assert str(error.value) == message


class Normed(torch.nn.Module):
    """Tied matrices, running statistics, and a parameter that the loss does not reach."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = torch.nn.Linear(6, 12), torch.nn.Linear(12, 6, bias=False)
        self.last.weight = torch.nn.Parameter(self.first.weight.T.contiguous())
        self.middle, self.norm = torch.nn.Linear(12, 12), torch.nn.BatchNorm1d(12)
        self.unused = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.last(self.norm(self.middle(self.first(x).tanh()).relu()))


def test_buffers_and_what_no_gradient_reaches():
    a, b = Normed(1).eval(), Normed(2).eval()
    symmetry = gm.trace(a, (torch.randn(5, 6),)).symmetry()
    torch.manual_seed(3)
    batches = [(torch.randn(32, 6),) for _ in range(6)]

    def loss(model, batch):
        return (model(*batch) - batch[0]).square().mean()

    found = gm.match(a, b, symmetry, "activations", batches, loss=loss, options={"refine": 3 * CHECK})
    assert min(found.barriers) <= found.barriers[0]
    assert gm.verify(b, symmetry, (torch.randn(5, 6),)).ok
    x = torch.randn(4, 6)
    assert torch.allclose(found.permutations.apply(b)(x), b(x), atol=1e-5)
