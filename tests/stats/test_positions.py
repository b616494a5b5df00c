"""What one sample is: rows by their first, largest and mean values; and which positions count."""

import pytest
import torch

from graphmerge.stats.positions import Samples, counted

MASK = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0]])
UNITS = torch.tensor([[1.0, 9, 9, 9, 2, -4, 8, 8, 8], [5.0, 9, 9, 9, -1, -3, 8, 8, 8]]).T.contiguous()
UNITS[1] = torch.tensor([3.0, 1.0])
ROWS = {"cls": [[1.0, 5.0], [2.0, -1.0]], "max": [[3.0, 5.0], [2.0, -1.0]], "mean": [[2.0, 3.0], [-1.0, -2.0]]}


@pytest.mark.parametrize("level", ROWS)
@pytest.mark.parametrize("rows_first", [True, False])
def test_a_row_is_one_sample(level, rows_first):
    """Rows without a position that counts are none."""
    batch = {"attention_mask": MASK}
    x = UNITS if rows_first else UNITS.reshape(3, 3, 2).transpose(0, 1).reshape(9, 2)
    batch = batch if rows_first else {"attention_mask": torch.cat([MASK, MASK[:1]])}
    if rows_first:
        for samples in ((9,), (3, 3)):
            taken = Samples(level).taken(x, samples, batch)
            assert taken is not None
            assert taken.tolist() == ROWS[level]
    else:  # four rows of three positions, positions first
        x = torch.cat([UNITS.reshape(3, 3, 2), UNITS[:3].reshape(1, 3, 2)]).transpose(0, 1).reshape(12, 2)
        taken = Samples(level).taken(x, (3, 4), batch)
        assert taken is not None
        assert taken.tolist() == [*ROWS[level], ROWS[level][0]]


def test_what_stands_beside_positions_is_a_sample_each():
    x = UNITS.reshape(9, 1, 2).repeat(1, 2, 1)
    x[:, 1] += 100
    taken = Samples("max").taken(x.reshape(18, 2), (3, 3, 2), {"attention_mask": MASK})
    assert taken is not None
    assert taken.tolist() == [[3.0, 5.0], [103.0, 105.0], [2.0, -1.0], [102.0, 99.0]]


def test_rows_are_known_without_a_mask():
    batch = {"pixel_values": torch.zeros(3, 1, 2, 2)}
    taken = Samples("mean").taken(torch.arange(12.0).reshape(12, 1), (3, 4), batch)
    assert taken is not None
    assert taken.flatten().tolist() == [1.5, 5.5, 9.5]
    pooled = Samples("mean").taken(torch.arange(3.0).reshape(3, 1), (3,), batch)  # one a row already
    assert pooled is not None
    assert pooled.flatten().tolist() == [0.0, 1.0, 2.0]
    assert Samples("mean").taken(torch.zeros(5, 1), (5,), batch) is None


def test_half_precision_is_averaged_in_float32():
    x = torch.tensor([[2048.0]] + [[1.0]] * 2048, dtype=torch.float16)
    taken = Samples("mean").taken(x, (1, 2049), (torch.zeros(1, 2049),))
    assert taken is not None
    assert abs(float(taken) - 4096 / 2049) < 1e-3


def test_excluded_ids_do_not_count():
    batch = {"input_ids": torch.tensor([[1, 5, 2], [1, 2, 0]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])}
    keep = counted((2, 3), batch, excluded=(1, 2))
    assert keep is not None
    assert keep.tolist() == [False, True, False, False, False, False]
    both = {"input_ids": torch.tensor([[1, 5]]), "decoder_input_ids": torch.tensor([[1, 5, 1]])}
    for length, expected in ((2, [False, True]), (3, [False, True, False])):
        keep = counted((1, length), both, excluded=(1,))
        assert keep is not None
        assert keep.tolist() == expected
