"""What a default config or the default inputs leave open, for single model types.

Nothing here is about what is derived: only about how a tiny model is built, and what it is called with.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.coverage.catalogue import Case
from graphmerge.trace.inputs import default_inputs


def config_of(case: Case, config_class: Any) -> Any:
    """The default config of a case, completed where the class has no default of its own."""
    return config_class()


def inputs_of(case: Case, model: torch.nn.Module) -> dict[str, Any]:
    """Keyword arguments of the forward pass."""
    return default_inputs(model).kwargs
