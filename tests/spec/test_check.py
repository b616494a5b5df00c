"""Holding a spec against a state dict."""

import pytest
import torch

from graphmerge.errors import SpecError
from graphmerge.spec import check_spec, parse_spec

TEXT = """\
graphmerge: 1
groups:
  d: 4
tensors:
  embed.weight: _ d
  norm.weight: d
pinned:
  - reason: words
    axes:
      - bias[0] _29
"""
STATE = {"embed.weight": torch.zeros(29, 4), "norm.weight": torch.zeros(4), "bias": torch.zeros(29)}


def test_a_spec_that_fits_gets_its_sizes():
    symmetry = check_spec(parse_spec(TEXT), STATE)
    assert symmetry.shapes == {"embed.weight": (29, 4), "norm.weight": (4,)}
    assert symmetry.layout["embed.weight"][0].sizes == (29, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"norm.weight": None, "norm.weights": torch.zeros(4)},
            "bert.yaml:6:3: the model has no tensor 'norm.weight'; did you mean 'norm.weights'?",
        ),
        ({"bias": None}, "the model has no tensor 'bias'; remove it, or check the model"),
        (
            {"norm.weight": torch.zeros(1, 4)},
            "bert.yaml:6:3: norm.weight has 2 axes (1, 4), but the spec gives it 1; write one for each, '_' for",
        ),
        (
            {"embed.weight": torch.zeros(29, 5)},
            "bert.yaml:5:3: axis 1 of embed.weight has 5 units, but the spec makes it 4; correct the sizes",
        ),
        (
            {"bias": torch.zeros(28)},
            "the pin bias[0] [0..28] as 29 reaches beyond the tensor's shape (28,); correct it under 'pinned'",
        ),
    ],
)
def test_a_spec_that_does_not_fit(changed, message):
    state = {key: tensor for key, tensor in (STATE | changed).items() if tensor is not None}
    with pytest.raises(SpecError) as error:
        check_spec(parse_spec(TEXT, "bert.yaml"), state)
    assert str(error.value).startswith(message)
