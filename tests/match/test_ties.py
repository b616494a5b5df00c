"""What activations leave open: dead units, units that vary alike, groups that no tap reads."""

import numpy as np
import torch
from torch import nn

import graphmerge as gm
from graphmerge.match import match
from graphmerge.match.terms import Similarity, Slot
from graphmerge.match.ties import open_groups
from graphmerge.symmetry import Group, Permutations, Pin, Symmetry


class Dead(nn.Module):
    """Two thirds of its hidden units never fire."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.up, self.down = nn.Embedding(11, 6), nn.Linear(6, 12), nn.Linear(12, 3)
        with torch.no_grad():
            self.up.bias[:8] = -100

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(self.embed(ids)).relu())


def test_units_that_never_fire_are_told_apart_by_weights():
    model, data = Dead().eval(), [(torch.arange(11)[None],)]
    symmetry = gm.trace(model, data[0]).symmetry()
    p = symmetry.random(1)
    found = match(model, p.apply(model), symmetry, "activations", data, groups=list(symmetry.by_name))
    assert found.permutations == p.inverse()
    (note,) = found.notes
    assert note.startswith("the data does not tell all units apart, so weights decide: ")


def two_levels() -> Symmetry:
    groups = (Group("h", 2), Group("d", 3, ("h",)), Group("lonely", 2), Group("pinned_d", 2, ("pin",)))
    return Symmetry(groups, (Pin((), "for the test", "pin", 2),), {}, {})


def test_which_groups_are_open():
    rng = np.random.default_rng(0)
    slots = (Slot("h"), Slot("d", (0,)))
    clear = Similarity(rng.random((2, 3, 2, 3)), slots)
    pinned = Similarity(rng.random((2, 2, 2, 2)), (Slot("pin"), Slot("pinned_d", (0,))))
    found = Permutations.identity(two_levels())
    assert open_groups([clear, pinned], found, ["h", "d", "lonely", "pinned_d"]) == ("lonely",)
    assert open_groups([clear, pinned], found, ["d"]) == ()
    # two units of one head, each as similar to the other's partner
    tied = clear.t.copy()
    tied[1, :2, 1, :2] = 0.5
    assert open_groups([Similarity(tied, slots)], found, ["h", "d"]) == ("d",)
    # not between heads that are no partners
    tied = clear.t.copy()
    tied[0, :2, 1, :2] = 0.5
    assert open_groups([Similarity(tied, slots)], found, ["h", "d"]) == ()


def test_with_a_base_what_is_over_it_is_open():
    alike = Similarity(np.ones((2, 2)), (Slot("h"),))
    inside = Similarity(np.random.default_rng(0).random((2, 3, 2, 3)), (Slot("h"), Slot("d", (0,))))
    found = Permutations.identity(two_levels())
    assert open_groups([alike], found, ["h"]) == ("h",)
    whole = Similarity(np.tile(inside.t[:1, :, :1], (2, 1, 2, 1)), inside.slots)  # two heads alike
    assert open_groups([whole], found, ["h", "d"]) == ("h", "d")


def test_a_group_without_a_tap_is_matched_by_weights():
    """A product with no contraction: nothing reads or writes the units but elementwise ops."""
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).eval()
    data = [(torch.randn(1, 5, 4),)]
    symmetry = gm.trace(model, data[0]).symmetry()
    (group,) = symmetry.by_name
    p = symmetry.random(0)

    class Hidden(nn.Module):
        """The same weights, contracted by hand: no op that taps know."""

        def __init__(self) -> None:
            super().__init__()
            for name in ("0", "2"):
                self.add_module(name, model.get_submodule(name))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, last = self.get_submodule("0"), self.get_submodule("2")
            x = ((x[..., None, :] * first.weight).sum(-1) + first.bias).tanh()
            return (x[..., None, :] * last.weight).sum(-1) + last.bias

    hidden = Hidden().eval()
    found = match(hidden, p.apply(hidden), symmetry, "activations", data, groups=[group])
    assert found.permutations == p.inverse()
    assert found.notes[0] == f"no tap reads {group}"
