import copy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from graphmerge.errors import ArchitectureMismatch, InputError
from graphmerge.evaluate import barrier, evaluate
from graphmerge.merge import interpolate
from tests.checkpoint.tiny import Tied, gpt2, saved
from tests.merge.tiny import Mlp, mlp_symmetry, scrambled


def data(count: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Points with the classes that ``sharp(0)`` gives them."""
    inputs = torch.randn(count, 16, 4, generator=torch.Generator().manual_seed(0))
    return [(x, sharp(0)(x).argmax(-1)) for x in inputs]


def loss(model, batch):
    x, y = batch
    return torch.nn.functional.cross_entropy(model(x), y, reduction="sum"), len(y)


def sharp(seed: int) -> Mlp:
    """A network with large weights: lines between two of them are far from flat."""
    model = Mlp(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


def text(seed: int = 0) -> list[dict[str, torch.Tensor]]:
    return [{"input_ids": torch.randint(29, (3, 8), generator=torch.Generator().manual_seed(seed))}]


def test_the_definition_point_by_point():
    a, (b, _) = sharp(0), scrambled(sharp(0))
    curve = barrier(a, b, data(), loss=loss, points=7)
    assert curve.lambdas == pytest.approx(np.linspace(0, 1, 7))
    for lam, found in zip(curve.lambdas, curve.losses):
        model = copy.deepcopy(a)
        model.load_state_dict(interpolate(a.state_dict(), b.state_dict(), lam))
        assert found == pytest.approx(evaluate(model, data(), loss=loss).loss, rel=1e-6)
    ends = evaluate(a, data(), loss=loss).loss, evaluate(b, data(), loss=loss).loss
    rise = [y - ((1 - lam) * ends[0] + lam * ends[1]) for lam, y in zip(curve.lambdas, curve.losses)]
    assert curve.barrier == pytest.approx(max(rise), abs=1e-6)
    assert curve.barrier > 0.1
    assert curve.vanilla == curve.losses
    assert curve.positions == 32


def test_permutations_that_undo_the_difference_remove_the_barrier():
    a = sharp(0)
    b, back = scrambled(a)
    curve = barrier(a, b, data(), permutations=back, loss=loss, points=5)
    assert curve.barrier == pytest.approx(0, abs=1e-5)
    assert curve.vanilla == pytest.approx(barrier(a, b, data(), loss=loss, points=5).losses, rel=1e-6)
    assert curve.vanilla_barrier > 0.1
    assert curve.removed == pytest.approx(1, abs=1e-3)


def test_the_vanilla_curve_is_that_of_the_models_as_they_are():
    a, b = sharp(0), sharp(1)
    curve = barrier(a, b, data(), mlp_symmetry().random(seed=5), loss, points=4)
    assert curve.vanilla == barrier(a, b, data(), loss=loss, points=4).losses
    assert curve.losses[0] == curve.vanilla[0]
    assert curve.losses[3] == pytest.approx(curve.vanilla[3], rel=1e-5)  # moving b leaves its function
    assert curve.losses[1] != pytest.approx(curve.vanilla[1], rel=1e-3)


def test_the_vanilla_curve_can_be_left_out():
    a = sharp(0)
    b, back = scrambled(a)
    seen = []
    curve = barrier(a, b, data(), back, loss, points=5, vanilla=False, progress=lambda *x: seen.append(x))
    assert curve.vanilla is None
    assert curve.removed is None
    assert seen == [(n, 10) for n in range(1, 11)]


def test_progress_counts_both_curves_and_their_common_start_once():
    seen = []
    a = sharp(0)
    b, back = scrambled(a)
    barrier(a, b, data(), back, loss, points=4, progress=lambda *x: seen.append(x))
    assert seen == [(n, 14) for n in range(1, 15)]
    seen.clear()
    same = mlp_symmetry().identity()
    curve = barrier(a, b, data(), same, loss, points=4, progress=lambda *x: seen.append(x))
    assert seen == [(n, 8) for n in range(1, 9)]
    assert curve.vanilla == curve.losses


def test_every_point_sees_the_same_batches():
    a, b = sharp(0), sharp(1)
    expected = barrier(a, b, data(), loss=loss, points=5)
    assert barrier(a, b, (x for x in data()), loss=loss, points=5).losses == expected.losses

    def noisy(batch):
        return [torch.stack([x + torch.randn(4) for x, _ in batch]), torch.stack([y for _, y in batch])]

    loader = DataLoader(TensorDataset(*data()[0]), batch_size=8, shuffle=True, collate_fn=noisy)
    same = barrier(a, a, loader, loss=loss, points=5)
    assert len(set(same.losses)) == 1


def test_one_copy_of_the_model_serves_all_points(monkeypatch):
    copies = []
    real = copy.deepcopy
    monkeypatch.setattr(copy, "deepcopy", lambda m, memo=None: copies.append(m) or real(m, memo))
    a = sharp(0)
    b, back = scrambled(a)
    copies.clear()
    barrier(a, b, data(), back, loss, points=9)
    assert len([m for m in copies if isinstance(m, Mlp)]) == 1


def test_nothing_is_mutated():
    a, b = gpt2(0).train(), gpt2(1)
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in (a, b)]
    barrier(a, b, text(), points=3)
    assert a.training
    for model, state in zip((a, b), before):
        assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_tied_weights_stay_tied_along_the_line():
    a, b = gpt2(0), gpt2(1)
    curve = barrier(a, b, text(), points=3)
    middle = copy.deepcopy(a)
    middle.load_state_dict(interpolate(a.state_dict(), b.state_dict(), 0.5))
    assert curve.losses[1] == pytest.approx(evaluate(middle, text()).loss, rel=1e-6)
    assert curve.unit == "nats per token"


def test_either_side_may_be_a_state_dict_or_a_path(tmp_path):
    a, b = gpt2(0), gpt2(1)
    expected = barrier(a, b, text(), points=3).losses
    assert barrier(a, b.state_dict(), text(), points=3).losses == expected
    assert barrier(a.state_dict(), b, text(), points=3).losses == expected
    assert barrier(saved(a, tmp_path / "a"), saved(b, tmp_path / "b"), text(), points=3).losses == expected
    with pytest.raises(InputError, match="both state dicts; give model="):
        barrier(a.state_dict(), b.state_dict(), text(), points=3)
    other = gpt2(2)
    before = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    assert barrier(a.state_dict(), b.state_dict(), text(), points=3, model=other).losses == expected
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.state_dict().items())
    with pytest.raises(ArchitectureMismatch, match="has shape"):
        barrier(a.state_dict(), b.state_dict(), text(), points=3, model=gpt2(n_embd=32))


def test_half_precision_follows_the_line_in_float32():
    a, b = gpt2(0).to(torch.bfloat16), gpt2(1).to(torch.bfloat16)
    curve = barrier(a, b, text(), points=3)
    middle = copy.deepcopy(a)
    middle.load_state_dict(interpolate(a.state_dict(), b.state_dict(), 0.5))
    assert curve.losses[1] == pytest.approx(evaluate(middle, text()).loss, rel=1e-6)


def test_a_loss_that_is_no_number_says_where():
    def fails_between(model, batch):
        total, count = loss(model, batch)
        return (total if torch.equal(model.one.bias, a.one.bias) else total * float("nan")), count

    a = sharp(0)
    with pytest.raises(InputError, match=r"at λ = 0\.25: the loss is nan"):
        barrier(a, sharp(1), data(), loss=fails_between, points=5)


def test_pairs_that_do_not_belong_together():
    with pytest.raises(ArchitectureMismatch, match="model 1 is a Mlp and model 2 a Tied"):
        barrier(Mlp(), Tied(), data(), loss=loss)
    with pytest.raises(InputError, match="three points or more; got 2"):
        barrier(Mlp(), Mlp(), data(), loss=loss, points=2)
    apart = Tied(1).state_dict()
    apart["head.weight"] = apart["head.weight"] + 1
    with pytest.raises(ArchitectureMismatch, match="ties"):
        barrier(Tied(0), apart, [(torch.arange(3),)], loss=loss)
