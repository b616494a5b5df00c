import math

import pytest
import torch

from graphmerge.errors import InputError
from graphmerge.merge import Shares, combine


def on_the_arc(a, b, t):
    return combine([a, b], Shares((1 - t, t), "slerp").of("w", [a, b]))


def test_linear_weights_are_taken_as_they_are():
    shares = Shares((0.3, 0.7), by_key={"w": (1.0, 0.0)})
    assert shares.of("v", [torch.ones(2)] * 2) == (0.3, 0.7)
    assert shares.of("w", [torch.ones(2)] * 2) == (1.0, 0.0)


def test_the_arc_by_hand():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    half = on_the_arc(a, b, 0.5)
    assert torch.allclose(half, torch.tensor([[math.sqrt(2), math.sqrt(2)]]))
    third = on_the_arc(a, b, 1 / 3)
    assert torch.allclose(third, 2 * torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.complex64])
def test_the_length_is_kept_on_the_arc(dtype):
    torch.manual_seed(0)
    a, b = (torch.randn(70, 90).to(dtype) for _ in range(2))
    b = b / b.norm() * a.norm()
    for t in (0.1, 0.5, 0.9):
        assert float(on_the_arc(a, b, t).norm() / a.norm()) == pytest.approx(1, abs=3e-3)
        assert float(combine([a, b], (1 - t, t)).norm() / a.norm()) < 0.96


def test_ends_parallels_and_zeros():
    a, b = torch.randn(9), torch.randn(9)
    assert torch.equal(on_the_arc(a, b, 0.0), a)
    assert torch.equal(on_the_arc(a, b, 1.0), b)
    assert torch.equal(on_the_arc(a, a.clone(), 0.3), a)
    assert torch.allclose(on_the_arc(a, 3 * a, 0.5), 2 * a)
    assert torch.allclose(on_the_arc(a, -a, 0.25), 0.5 * a)
    assert torch.equal(on_the_arc(torch.zeros(3), torch.ones(3), 0.5), torch.full((3,), 0.5))
    assert torch.equal(on_the_arc(torch.tensor([3]), torch.tensor([5]), 0.5), torch.tensor([3]))


def test_large_tensors_are_summed_in_parts():
    torch.manual_seed(0)
    a, b = (torch.randn(3, (1 << 21) + 5).bfloat16() for _ in range(2))
    whole = (0.3 * a.float()).add_(b.float(), alpha=0.7).bfloat16()
    assert torch.equal(combine([a, b], [0.3, 0.7]), whole)
    assert torch.equal(combine([a.T, b.T], [0.3, 0.7]), whole.T)
    x, y = on_the_arc(a, b, 0.5), Shares((0.5, 0.5), "slerp")
    cosine = float((a.double() * b.double()).sum() / a.double().norm() / b.double().norm())
    factor = math.sin(math.acos(cosine) / 2) / math.sin(math.acos(cosine))
    assert y.of("w", [a, b]) == pytest.approx((factor, factor), rel=1e-9)
    assert x.shape == a.shape


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((0.5, 0.6),), "must sum to 1"),
        (((0.5, float("nan")),), "finite"),
        (((0.5, 0.5), "cubic"), "'cubic' is unknown; it is linear or slerp"),
        (((0.2, 0.2, 0.6), "slerp"), "slerp merges two models; got 3"),
        (((0.5, 0.5), "linear", {"w": (1.0,)}), "2 models need 2 weights; got 1"),
    ],
)
def test_weights_that_do_not_fit(arguments, text):
    with pytest.raises(InputError, match=text):
        Shares(*arguments)
