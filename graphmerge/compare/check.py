"""A symmetry held against a model: compared with what is derived from it, and what is wrong measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from graphmerge.compare.comparison import Comparison, compare
from graphmerge.compare.reasons import Tie
from graphmerge.graph import trace
from graphmerge.spec import check_spec
from graphmerge.symmetry import Symmetry
from graphmerge.verify import errors_of


def check(
    model: torch.nn.Module,
    symmetry: Symmetry,
    example_inputs: Any = None,
    *,
    reference: Symmetry | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare a symmetry, from a spec or by hand, with what is derived from a model.

    Each group that is unsound comes with its error: how much a random element of that group alone changes the outputs,
    in float64 on redrawn weights, as `graphmerge.verify` measures it. A model without weights cannot be run: there the
    groups are named without numbers.

    Args:
        reference: what to compare with in place of what is derived.

    Raises:
        SpecError: it names a tensor that the model does not have, or gives it another shape.
    """
    fitted = check_spec(symmetry, model.state_dict())
    found = compare(fitted, trace(model, example_inputs).symmetry() if reference is None else reference)
    wrong = list(dict.fromkeys(tie.group for tie in (*found.missing_ties, *found.wrong_ties)))
    if not wrong or any(p.is_meta for p in model.parameters()):
        return found
    errors = errors_of(model, fitted, wrong, example_inputs, seed=seed)

    def measured(ties: tuple[Tie, ...]) -> tuple[Tie, ...]:
        return tuple(replace(tie, error=errors[tie.group]) for tie in ties)

    return replace(found, missing_ties=measured(found.missing_ties), wrong_ties=measured(found.wrong_ties))
