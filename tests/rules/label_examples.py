"""Calls on labels: indices that name units of another tensor, which move with it."""

from __future__ import annotations

import torch

from tests.rules.examples import example, f, index, known, labels, mask

example("argsort", f(3, 4))
example("argsort.stable", f(3, 4), stable=True, dim=0)

# what names units: they move on both sides
example("one_hot", labels(4, 3), 4)
example("one_hot", labels(3, 2, 2), 4)  # of fewer units than classes
example("eq.Tensor", labels(4, 3, 1), known([0, 1, 2, 3]))
example("eq.Tensor", known([[[0], [1], [2]]]), labels(3, 2, 1, 4))
example("eq.Tensor", labels(4, 3, 1), known([1, 2, 3]))
example("eq.Scalar", labels(4, 3), 1)
example("embedding", f(5, 3), labels(5, 2, 4))
example("embedding", f(5, 3), labels(4, 2, 2))
example("index.Tensor", f(5, 3), [labels(5, 2)])
example("index.Tensor", f(2, 5, 3), [None, labels(5, 2, 4)])
example("index.Tensor", f(2, 5, 3), [known([[0], [1]]), labels(5, 2, 4)])
example("index_select", f(3, 4), 1, labels(4, 3))
example("gather", f(3, 4), 1, labels(4, 3, 2))
example("gather", f(3, 4, 5), 1, labels(4, 3, 2, 5))
example("gather", f(3, 4), 1, labels(4, 2, 2))
example("take_along_dim", f(3, 4), labels(4, 3, 2), 1)
example("scatter.src", f(3, 4), 1, labels(4, 3, 2), f(3, 2))
example("scatter.value", f(3, 4), 1, labels(4, 3, 1), 2.0)
example("scatter_add", f(3, 4), 1, labels(4, 3, 2), f(3, 2))
example("index_add", f(3, 4), 1, labels(4, 3), f(3, 3))
example("index_put", f(3, 4), [known([0, 1, 2]), labels(4, 3)], f(3))
example("index_put", f(3, 4), [labels(3, 2)], f(2, 4), True)

# units that are looked up where they stand
example("index.Tensor", f(2, 3, 5), [known([[[0]], [[1]]]), known([[[0], [1], [2]]]), labels(5, 2, 3, 4)])
example("index.Tensor", f(3, 4), [known([0, 1, 2]), index(4, 3)])
example("index.Tensor", f(3, 3), [known([0, 1, 2]), known([0, 1, 2])])
example("index_put", f(3, 4, 2), [known([0, 1, 2]), index(4, 3)], f(3, 2))
example("index_put", f(3, 3), [known([0, 1, 2]), known([0, 1, 2])], f(3))

# what only moves labels about
for call in (
    ("view", [12, 2]), ("unsqueeze", 1), ("permute", [1, 0, 2]), ("transpose.int", 0, 1), ("expand", [3, 4, 2]),
    ("slice.Tensor", 0, 1, 3), ("select.int", 0, 1), ("clone",), ("to.dtype", torch.int32), ("repeat", [2, 1, 1]),
    ("unbind.int", 0), ("split.Tensor", 2, 1), ("flatten.using_ints", 0, 1),
):  # fmt: skip
    op, *rest = call
    example(op, labels(4, 3, 1 if op == "expand" else 4, 2), *rest)
example("cat", [labels(4, 3, 2), labels(4, 3, 1)], 1)
example("stack", [labels(4, 3), labels(4, 3)], 1)

# what reads them as numbers: the units stay put
example("cat", [labels(4, 3, 2), known([[1], [2], [3]])], 1)
example("to.dtype", labels(4, 3), torch.bool)
example("add.Tensor", labels(4, 3), labels(4, 3))
example("floor_divide", labels(4, 3), 2)
example("constant_pad_nd", labels(4, 3), [1, 0], -1)
example("where.self", mask(3), labels(4, 3), labels(4, 3))
example("cumsum", labels(4, 3), 0)
example("sum.dim_IntList", labels(4, 3, 4), [1])
