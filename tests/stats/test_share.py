"""A share of the data: rows, drawn with the seed, none of them twice."""

import pytest
import torch

from graphmerge.errors import InputError
from graphmerge.stats.share import drawn_share


def numbered(count: int, rows: int) -> list[dict[str, torch.Tensor]]:
    ids = torch.arange(count * rows).reshape(count, rows, 1)
    return [{"input_ids": i, "labels": -i, "positions": torch.zeros(1, 4)} for i in ids]


def rows_of(batches) -> list[int]:
    return [int(i) for batch in batches for i in batch["input_ids"]]


@pytest.mark.parametrize(("share", "expected"), [(0.001, 1), (0.01, 10), (0.5, 500), (1, 1000)])
def test_so_many_rows_are_drawn(share, expected):
    found = rows_of(drawn_share(numbered(10, 100), share, seed=0))
    assert len(found) == len(set(found)) == expected


def test_it_is_drawn_with_the_seed_and_rows_stay_whole():
    data = numbered(4, 8)
    drawn = drawn_share(data, 0.25, seed=1)
    assert rows_of(drawn) == rows_of(drawn_share(data, 0.25, seed=1)) != rows_of(drawn_share(data, 0.25, seed=2))
    assert all(torch.equal(batch["input_ids"], -batch["labels"]) for batch in drawn)
    assert all(batch["positions"].shape == (1, 4) for batch in drawn)


def test_of_tuples():
    (batch,) = drawn_share([(torch.arange(10), "kept")], 0.3, seed=0)
    assert len(batch[0]) == 3
    assert batch[1] == "kept"


@pytest.mark.parametrize("batch", [("no tensor",), (torch.zeros(4, 2), torch.zeros(3))])
def test_what_has_no_rows_is_refused(batch):
    with pytest.raises(InputError, match="a share of the data is a share of its rows, and a batch has"):
        drawn_share([batch], 0.5, seed=0)
