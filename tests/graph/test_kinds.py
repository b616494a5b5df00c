"""`Group.kind`: random maps of the claimed class leave the function unchanged, and maps of a larger class do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import graphmerge as gm
from tests.families import traced

Roles = dict[str, tuple[int, str]]  # parameter -> axis, and what acts there: the map, its dual, or its pattern alone
D, F, H, N, V = 6, 5, 2, 3, 11  # residual, feed-forward, heads, head dimension, vocabulary
IDS = torch.tensor([[3, 1, 4, 1, 5, 9]])


class Net(nn.Module):
    """Embedding, a normalised feed-forward on the residual, a normalised head."""

    def __init__(self, norm: str = "layer", act: str = "gelu", tied: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.norm, self.last = _norm(norm), _norm(norm)
        self.up, self.gate, self.down = nn.Linear(D, F), nn.Linear(D, F), nn.Linear(F, D)
        self.head = nn.Linear(D, V, bias=False)
        self.act = act
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        y = self.norm(x)
        if self.act == "swiglu":
            wide = nn.functional.silu(self.gate(y)) * self.up(y)
        else:
            wide = getattr(torch, self.act, getattr(nn.functional, self.act, None))(self.up(y))
        return self.head(self.last(x + self.down(wide)))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.q, self.k, self.v = (nn.Linear(D, H * N) for _ in range(3))
        self.out, self.head = nn.Linear(H * N, D), nn.Linear(D, V)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        q, k, v = (p(x).unflatten(-1, (H, N)).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.head(self.out(y.transpose(1, 2).flatten(2)))


def _norm(kind: str) -> nn.Module:
    affine = not kind.endswith("without gain")
    if kind == "none":
        return nn.Identity()
    return (
        nn.LayerNorm(D, elementwise_affine=affine)
        if kind.startswith("layer")
        else nn.RMSNorm(D, elementwise_affine=affine)
    )


def _residual(norm: str, tied: bool = False) -> Roles:
    roles = {"embed.weight": (1, "map"), "up.weight": (1, "dual"), "gate.weight": (1, "dual")}
    roles |= {"down.weight": (0, "map"), "down.bias": (0, "map")}
    if not tied:
        roles["head.weight"] = (1, "dual")
    if norm in ("layer", "rms"):
        roles |= {"norm.weight": (0, "pattern"), "last.weight": (0, "pattern")}
    if norm == "layer":
        roles |= {"norm.bias": (0, "map"), "last.bias": (0, "map")}
    return roles


WIDE: Roles = {"up.weight": (0, "map"), "up.bias": (0, "map"), "down.weight": (1, "dual")}
GATED: Roles = WIDE | {"gate.weight": (0, "pattern"), "gate.bias": (0, "pattern")}
QK: Roles = {"q.weight": (0, "map"), "q.bias": (0, "map"), "k.weight": (0, "dual"), "k.bias": (0, "dual")}
VALUES: Roles = {"v.weight": (0, "map"), "v.bias": (0, "map"), "out.weight": (1, "dual")}


# -- random maps of each class ---------------------------------------------------------------------------------------


def permutation(n: int) -> torch.Tensor:
    return torch.eye(n, dtype=torch.float64)[torch.randperm(n)]


def signed(n: int) -> torch.Tensor:
    signs = torch.ones(n, dtype=torch.float64)
    signs[::2] = -1
    return signs[:, None] * permutation(n)


def scaled(n: int) -> torch.Tensor:
    return (0.5 + torch.rand(n, 1, dtype=torch.float64)) * permutation(n)


def orthogonal(n: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0]


def fixing_ones(n: int) -> torch.Tensor:
    basis = torch.linalg.qr(torch.cat([torch.ones(n, 1), torch.randn(n, n - 1)], 1).double())[0]
    inner = torch.block_diag(torch.ones(1, 1, dtype=torch.float64), orthogonal(n - 1))
    return basis @ inner @ basis.mT


def invertible(n: int) -> torch.Tensor:
    return torch.randn(n, n, dtype=torch.float64)


Draw = Callable[[int], torch.Tensor]
OF_KIND: dict[str, Draw] = {
    "permutation": permutation,
    "signed_permutation": signed,
    "scaled_permutation": scaled,
    "orthogonal_fixing_ones": fixing_ones,
    "orthogonal": orthogonal,
    "invertible": invertible,
}
LARGER: dict[str, tuple[Draw, ...]] = {  # the classes that come next
    "permutation": (signed, scaled, fixing_ones),
    "signed_permutation": (scaled, orthogonal),
    "scaled_permutation": (orthogonal,),
    "orthogonal_fixing_ones": (orthogonal,),
    "orthogonal": (invertible,),
    "invertible": (),
}


def moved(model: nn.Module, roles: Roles, matrix: torch.Tensor) -> dict[str, torch.Tensor]:
    """The weights after a map of one group's units: itself, its inverse transpose, or where its entries are."""
    acting = {"map": matrix, "dual": torch.linalg.inv(matrix).mT, "pattern": (matrix != 0).double()}
    state = dict(model.named_parameters())
    for name, (axis, role) in roles.items():
        state[name] = torch.tensordot(acting[role], state[name].detach(), dims=([1], [axis])).movedim(0, axis)
    return state


def change(model: nn.Module, roles: Roles, matrix: torch.Tensor) -> float:
    with torch.no_grad():
        before = model(IDS)
        after = torch.func.functional_call(model, moved(model, roles, matrix), (IDS,))
    return float((after - before).abs().max() / before.abs().max())


CASES: dict[str, tuple[Callable[[], nn.Module], str, str, Roles]] = {
    "LayerNorm": (lambda: Net("layer"), "residual", "permutation", _residual("layer")),
    "RMSNorm": (lambda: Net("rms"), "residual", "signed_permutation", _residual("rms")),
    "LayerNorm without gain": (
        lambda: Net("layer without gain"), "residual", "orthogonal_fixing_ones", _residual("layer without gain"),
    ),
    "RMSNorm without gain": (lambda: Net("rms without gain"), "residual", "orthogonal", _residual("rms without gain")),
    "no norm": (lambda: Net("none"), "residual", "invertible", _residual("none")),
    "no norm, tied head": (lambda: Net("none", tied=True), "residual", "orthogonal", _residual("none", tied=True)),
    "GELU": (lambda: Net("layer", "gelu"), "ffn", "permutation", WIDE),
    "tanh": (lambda: Net("layer", "tanh"), "ffn", "signed_permutation", WIDE),
    "ReLU": (lambda: Net("layer", "relu"), "ffn", "scaled_permutation", WIDE),
    "SwiGLU": (lambda: Net("layer", "swiglu"), "ffn", "scaled_permutation", GATED),
}  # fmt: skip


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = make().double().eval()
    for p in model.parameters():
        p.data = torch.randn_like(p)
    return model


@pytest.mark.parametrize("case", CASES)
def test_the_claimed_class(case: str) -> None:
    make, group, kind, roles = CASES[case]
    model = drawn(make)
    found = gm.trace(model, IDS).symmetry()[group]
    assert found.kind == kind
    assert change(model, roles, OF_KIND[kind](found.size)) < 1e-9


SIDES = {"map": "primal", "dual": "dual", "pattern": "still"}


@pytest.mark.parametrize("case", CASES)
def test_the_side_of_each_axis(case: str) -> None:
    """The derived sides are those written by hand above; a gate's own branch is primal, but takes no scale."""
    make, group, kind, roles = CASES[case]
    symmetry = gm.trace(drawn(make), IDS).symmetry()
    found = {
        key: (block.axis_of(move.dims[0]), move.action)
        for key, blocks in symmetry.layout.items()
        for block in blocks
        for move in block.moves
        if move.group == group
    }
    used = {name: role for name, role in roles.items() if name in found}
    assert set(found) - set(used) <= {"head.weight"}  # tied
    for name, (axis, role) in used.items():
        assert found[name][0] == axis
        side = "primal" if "gate" in name and group == "ffn" else SIDES[role]
        assert found[name][1].side == side, name
        if kind == "scaled_permutation":
            assert found[name][1].scales == ({"map": 1, "dual": -1, "pattern": 0}[role],), name


@pytest.mark.parametrize("case", CASES)
def test_larger_classes_change_the_function(case: str) -> None:
    make, group, kind, roles = CASES[case]
    model = drawn(make)
    size = D if group == "residual" else F
    for draw in LARGER[kind]:
        assert change(model, roles, draw(size)) > 1e-3, draw.__name__


def test_the_linear_branch_of_a_gate_may_change_sign_and_relu_may_not() -> None:
    assert change(drawn(lambda: Net("layer", "swiglu")), GATED, signed(F)) < 1e-9
    assert change(drawn(lambda: Net("layer", "relu")), WIDE, signed(F)) > 1e-3


@pytest.mark.parametrize(("group", "roles"), [("qk", QK), ("v", VALUES)])
def test_inside_heads_every_invertible_map(group: str, roles: Roles) -> None:
    model = drawn(Attention)
    found = gm.trace(model, IDS).symmetry()[group]
    assert (found.kind, found.size, found.over) == ("invertible", N, ("heads",))
    each_head = torch.block_diag(*(invertible(N) for _ in range(H)))
    assert change(model, roles, each_head) < 1e-9
    assert change(model, roles, invertible(H * N)) > 1e-3  # not across heads


def test_kinds_of_families() -> None:
    kinds = {f: {g.name: g.kind for g in traced(f).symmetry().groups} for f in ("BERT", "Llama", "T5", "Mamba")}
    assert kinds["BERT"]["residual"] == kinds["BERT"]["layers.0.ffn"] == "permutation"
    assert kinds["BERT"]["layers.0.qk"] == kinds["BERT"]["layers.0.v"] == kinds["Llama"]["layers.0.v"] == "invertible"
    assert kinds["Llama"]["residual"] == kinds["T5"]["residual"] == "signed_permutation"
    assert kinds["Llama"]["layers.1.ffn"] == kinds["T5"]["encoder.layers.0.ffn"] == "scaled_permutation"
    assert kinds["Mamba"]["layers.0.mixer.A_log"] == "scaled_permutation"  # B by s, C by 1/s
    for heads in ("layers.0.heads", "layers.0.query_heads"):
        assert kinds["Llama"][heads] == "permutation"
