import pytest
import torch

from graphmerge.errors import ArchitectureMismatch
from graphmerge.merge import combine, interpolate
from tests.checkpoint.tiny import Tied, gpt2


def test_weighted_sum_by_hand():
    a, b, c = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0]), torch.tensor([10.0, 0.0])
    assert torch.allclose(combine([a, b, c], [0.5, 0.25, 0.25]), torch.tensor([3.75, 2.5]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32(dtype):
    torch.manual_seed(0)
    a, b = torch.randn(2000).to(dtype), torch.randn(2000).to(dtype)
    merged = combine([a, b], [0.3, 0.7])
    exact = 0.3 * a.double() + 0.7 * b.double()
    rounding = torch.finfo(dtype).eps * (exact.abs() / 2 + torch.finfo(dtype).smallest_normal)
    assert merged.dtype == dtype
    allowed = 1.001 * rounding + 1e-6  # what float32 loses where the two cancel
    assert ((merged.double() - exact).abs() <= allowed).all()  # rounded once, at the end
    assert ((0.3 * a + 0.7 * b).double() - exact).abs().gt(allowed).any()


def test_float16_does_not_overflow_on_the_way():
    a, b = (torch.tensor([x], dtype=torch.float16) for x in (51200.0, 40960.0))
    assert combine([a, b], [2.0, -1.0]) == 61440


def test_float64_stays_float64():
    a, b = torch.rand(50, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    assert torch.allclose(combine([a, b], [0.5, 0.5]), (a + b) / 2, rtol=1e-15)
    mixed = combine([a.float(), b], [0.5, 0.5])
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, ((a.float().double() + b) / 2).float())


def test_complex_numbers():
    a, b = torch.tensor([1 + 2j]), torch.tensor([3 + 0j])
    assert torch.equal(combine([a, b], [0.5, 0.5]), torch.tensor([2 + 1j]))


def test_ends_and_equal_tensors_are_exact():
    a, b = torch.randn(100), torch.randn(100)
    assert torch.equal(combine([a, b], [1.0, 0.0]), a)
    assert torch.equal(combine([a, b], [0.0, 1.0]), b)
    assert torch.equal(combine([a, a.clone()], [0.3, 0.7]), a)
    mask = torch.full((3, 3), float("-inf")).triu(1)
    assert torch.equal(combine([mask, mask.clone()], [0.3, 0.7]), mask)
    infinite = torch.tensor([float("inf")])
    assert torch.equal(combine([torch.ones(1), infinite], [1.0, 0.0]), torch.ones(1))


def test_integers_are_those_of_the_first():
    assert combine([torch.tensor(3), torch.tensor(9)], [0.5, 0.5]) == 3
    assert combine([torch.tensor(True), torch.tensor(False)], [0.5, 0.5])


def test_the_result_is_never_one_of_the_inputs():
    for tensor in (torch.ones(2), torch.tensor([3])):
        assert combine([tensor, tensor], [0.5, 0.5]).data_ptr() != tensor.data_ptr()


def test_interpolate_keeps_keys_ties_and_inputs():
    a, b = gpt2(0).state_dict(), gpt2(1).state_dict()
    before = {k: v.clone() for k, v in a.items()}
    merged = interpolate(a, b, 0.25)
    assert list(merged) == list(a)
    assert merged["lm_head.weight"] is merged["transformer.wte.weight"]
    assert torch.allclose(merged["lm_head.weight"], 0.75 * a["lm_head.weight"] + 0.25 * b["lm_head.weight"])
    assert all(torch.equal(before[k], a[k]) for k in a)
    merged["transformer.wpe.weight"].zero_()
    assert all(torch.equal(before[k], a[k]) for k in a)
    assert torch.equal(interpolate(a, b, 1.5)["transformer.ln_f.bias"], a["transformer.ln_f.bias"])


def test_what_the_first_ties_may_not_differ_in_the_other():
    tied, apart = Tied(0).state_dict(), Tied(1).state_dict()
    apart["head.weight"] = apart["head.weight"] + 1
    with pytest.raises(ArchitectureMismatch, match=r"ties embed\.weight, head\.weight, another one has them apart"):
        interpolate(tied, apart, 0.5)
    merged = interpolate(apart, tied, 0.5)  # the other way round nothing is lost
    assert not torch.equal(merged["head.weight"], merged["embed.weight"])
