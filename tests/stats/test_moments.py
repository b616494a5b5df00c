"""Moments: those of numpy, however the samples are cut into batches."""

import numpy as np
import pytest
import torch

from graphmerge.stats import Moments


def samples(count: int = 200, offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(count, 4, generator=rng)
    return x + offset, torch.cat([x[:, :2], torch.randn(count, 3, generator=rng)], dim=1) * 2 + offset


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_streamed_sums_are_those_of_all_samples(offset):
    x, y = samples(offset=offset)
    streamed = Moments.of(x[:70], y[:70]) + Moments.of(x[70:71], y[70:71]) + Moments.of(x[71:], y[71:])
    assert streamed.count == 200
    both = np.corrcoef(x.double().numpy(), y.double().numpy(), rowvar=False)[:4, 4:]
    assert np.allclose(streamed.correlation(), both, atol=1e-5)
    centred_x, centred_y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    assert torch.allclose(streamed.covariance().double(), centred_x.mT @ centred_y / 200, atol=1e-4)
    products = x.double().mT @ y.double() / 200
    assert torch.allclose(streamed.inner_product().double(), products, rtol=1e-5, atol=1e-4)


def test_the_order_of_addition_does_not_count():
    x, y = samples()
    parts = [Moments.of(x[i : i + 50], y[i : i + 50]) for i in range(0, 200, 50)]
    forward, backward = (parts[0] + parts[1]) + (parts[2] + parts[3]), parts[3] + (parts[2] + (parts[1] + parts[0]))
    for name in ("mean_a", "mean_b", "square_a", "square_b", "cross"):
        assert torch.allclose(getattr(forward, name), getattr(backward, name), atol=1e-4)


def test_units_that_do_not_vary_correlate_with_nothing():
    x = torch.stack([torch.full((50,), 0.1), torch.zeros(50), torch.linspace(0, 1, 50)], dim=1)
    correlation = Moments.of(x, x).correlation()
    assert correlation.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, pytest.approx(1)]]


def test_half_precision_is_summed_in_more():
    x, y = samples()
    found = Moments.of(x.bfloat16(), y)
    assert found.cross.dtype == torch.float32
    assert found.mean_a.dtype == torch.float64
    assert torch.allclose(found.correlation(), Moments.of(x, y).correlation(), atol=0.01)
    assert Moments.of(x.double(), y).cross.dtype == torch.float64
