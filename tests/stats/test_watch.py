"""What is seen of a forward pass: contractions with parameters, their dimensions and samples."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from graphmerge.stats.watch import INPUT, OUTPUT, Reading, View, view_of, watched


class Uses(nn.Module):
    """One parameter, used as ``use`` says."""

    def __init__(self, shape: tuple[int, ...], use) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self.use = use

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.use(x, self.weight)


def seen(model: nn.Module, *inputs: torch.Tensor) -> list[Reading]:
    readings: list[Reading] = []
    with watched(model, model.state_dict(), readings.append):
        model(*inputs)
    return readings


def laid_out(reading: Reading) -> dict[int, list[int]]:
    """For every dimension of the activation the axes of the parameter."""
    return {dim: list(units) for dim, units in reading.dims.items()}


@pytest.mark.parametrize(
    ("shape", "x", "use", "consumed", "written", "samples"),
    [
        ((5, 3), (2, 4, 3), functional.linear, {1: [1]}, {1: [0]}, (2, 4)),
        ((3, 5), (2, 4, 3), lambda x, w: x @ w, {1: [0]}, {1: [1]}, (2, 4)),
        ((3, 5), (8, 3), lambda x, w: torch.addmm(torch.zeros(5), x, w), {1: [0]}, {1: [1]}, (8,)),
        ((5, 3), (3, 8), lambda x, w: w @ x, {0: [1]}, {0: [0]}, (8,)),
        ((6, 3, 5), (6, 8, 3), torch.bmm, {0: [0], 2: [1]}, {0: [0], 2: [2]}, (8,)),
        (
            (6, 3, 5),
            (2, 4, 6, 3),
            lambda x, w: torch.einsum("btef,efd->bted", x, w),
            {0: [0], 2: [1]},
            {0: [0], 2: [2]},
            (8,),
        ),
        ((5, 3, 2), (2, 3, 9), functional.conv1d, {1: [1]}, {1: [0]}, (2, 9)),
    ],
)
def test_contractions(shape, x, use, consumed, written, samples):
    before, after = seen(Uses(shape, use).eval(), torch.randn(x))
    assert (before.site.side, after.site.side) == (INPUT, OUTPUT)
    assert laid_out(before) == consumed
    assert laid_out(after) == written
    assert before.samples == samples


def test_an_expert_that_is_selected_covers_its_own_units_only():
    before, _ = seen(Uses((4, 5, 3), lambda x, w: functional.linear(x, w[2])), torch.randn(7, 3))
    assert laid_out(before) == {1: [2]}
    assert before.covered[0].tolist() == [2]
    assert before.covered[1].tolist() == [0, 1, 2, 3, 4]


def test_rows_that_are_sliced():
    _, after = seen(Uses((6, 3), lambda x, w: functional.linear(x, w[2:4])), torch.randn(7, 3))
    assert after.dims[1][0].tolist() == [2, 3]
    assert after.covered[0].tolist() == [2, 3]


def test_every_use_has_its_number():
    model = Uses((3, 3), lambda x, w: functional.linear(functional.linear(x, w), w))
    assert [(r.site.use, r.site.side) for r in seen(model, torch.randn(2, 3))] == [
        (0, INPUT),
        (0, OUTPUT),
        (1, INPUT),
        (1, OUTPUT),
    ]
    assert str(seen(model, torch.randn(2, 3))[2].site) == "input of weight, use 2"


def test_other_convolutions_are_not_read():
    grouped = Uses((4, 1, 2), lambda x, w: functional.conv1d(x, w, groups=4))
    transposed = Uses((4, 4, 2), functional.conv_transpose1d)
    assert seen(grouped, torch.randn(2, 4, 9)) == seen(transposed, torch.randn(2, 4, 9)) == []


def test_inside_of_torchs_own_attention():
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    x = torch.randn(3, 5, 8)
    keys = {str(r.site) for r in seen(attention, x, x, x)}
    assert {"input of in_proj_weight", "input of out_proj.weight"} <= keys
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_views_of_a_parameter():
    parameter = torch.arange(24.0).reshape(4, 6)

    def shown(view: View | None) -> list[dict[int, list[int]]]:
        assert view is not None
        return [{axis: units.tolist() for axis, units in dims.items()} for dims in view.dims]

    assert shown(view_of(parameter.T, parameter)) == [{1: [0, 1, 2, 3, 4, 5]}, {0: [0, 1, 2, 3]}]
    assert shown(view_of(parameter[1:3, ::2], parameter)) == [{0: [1, 2]}, {1: [0, 2, 4]}]
    assert shown(view_of(parameter[2], parameter)) == [{1: [0, 1, 2, 3, 4, 5]}]
    assert shown(view_of(parameter[:, :2].unsqueeze(0).expand(3, -1, -1), parameter))[0] == {}
    (flat,) = shown(view_of(parameter.reshape(-1), parameter))
    assert (np.array(flat[0]) * 6 + flat[1] == np.arange(24)).all()
    # the second axis is split over two dimensions
    assert view_of(parameter.view(4, 2, 3), parameter) is None
