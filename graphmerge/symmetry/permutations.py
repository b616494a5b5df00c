"""One element of a Symmetry: apply, invert, compose, save."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from graphmerge.errors import ArchitectureMismatch, InputError
from graphmerge.files import order_metadata, write_beside
from graphmerge.symmetry.blocks import Block, Move
from graphmerge.symmetry.groups import Symmetry
from graphmerge.symmetry.serial import symmetry_from_json, symmetry_to_json

Weights = TypeVar("Weights", torch.nn.Module, dict[str, torch.Tensor])
FORMAT = "graphmerge.permutations.1"
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by width in bytes


@dataclass(frozen=True, eq=False)
class Permutations:
    """One element of ``symmetry``.

    ``arrays[g]`` has shape ``symmetry.shape(g)`` = (bases of g ..., size of g) and says where units come *from*: with h
    running over the base and P its permutation, a tensor axis pair (h, i) becomes ``out[h, i] = x[P[h], G[h, i]]``.
    """

    symmetry: Symmetry
    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        whole = {}
        for group in self.symmetry.groups:
            shape = self.symmetry.shape(group.name)
            array = self.arrays.get(group.name)
            if array is None:
                array = np.broadcast_to(np.arange(group.size), shape)
            array = np.ascontiguousarray(array, dtype=np.int64)
            if array.shape != shape:
                raise ArchitectureMismatch(f"permutation of {group.name!r} has shape {array.shape}, expected {shape}")
            if not (np.sort(array, axis=-1) == np.arange(group.size)).all():
                raise InputError(f"the array of group {group.name!r} is not a permutation of 0..{group.size - 1}")
            array.setflags(write=False)
            whole[group.name] = array
        if unknown := set(self.arrays) - set(whole):
            raise ArchitectureMismatch(f"the symmetry has no group {sorted(unknown)[0]!r}")
        object.__setattr__(self, "arrays", MappingProxyType(whole))

    @classmethod
    def identity(cls, symmetry: Symmetry) -> Permutations:
        """The element that moves nothing."""
        return cls(symmetry, {})

    @classmethod
    def random(cls, symmetry: Symmetry, seed: int = 0, groups: tuple[str, ...] | None = None) -> Permutations:
        """A uniformly random element; only ``groups`` move if given.

        Raises:
            InputError: ``groups`` names one that does not exist.
        """
        if unknown := sorted(set(groups or ()) - set(symmetry.by_name)):
            raise InputError(f"no group {unknown[0]!r}; the groups are {', '.join(symmetry.by_name)}")
        rng = np.random.default_rng(seed)
        arrays = {}
        for group in symmetry.groups:
            identity = np.broadcast_to(np.arange(group.size), symmetry.shape(group.name))
            drawn = rng.permuted(identity, axis=-1)
            if groups is None or group.name in groups:
                arrays[group.name] = drawn
        return cls(symmetry, arrays)

    @property
    def is_identity(self) -> bool:
        """Does it move nothing?"""
        return all((a == np.arange(a.shape[-1])).all() for a in self.arrays.values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutations):
            return NotImplemented
        return self.arrays.keys() == other.arrays.keys() and all(
            np.array_equal(a, other.arrays[g]) for g, a in self.arrays.items()
        )

    # -- group operations ------------------------------------------------------------------------------------------

    def source_bases(self, group: str) -> tuple[np.ndarray, ...]:
        """For each base of ``group``, which of its units each joint base index comes from; shape: the bases' sizes."""
        over = self.symmetry[group].over
        shape = self.symmetry.shape(group)[:-1]
        index = np.indices(shape, sparse=False)
        found = []
        for slot, base in enumerate(over):
            if base not in self.arrays:  # a pinned leaf
                found.append(index[slot])
                continue
            # the base may itself be over some of the group's other bases
            inner = tuple(index[over.index(b)] for b in self.symmetry[base].over)
            found.append(self.arrays[base][(*inner, index[slot])])
        return tuple(found)

    def __matmul__(self, other: Permutations) -> Permutations:
        """``(p @ q).apply(x) == p.apply(q.apply(x))``."""
        self._same_symmetry(other)
        arrays = {}
        for name, mine in self.arrays.items():
            rows = tuple(b[..., None] for b in self.source_bases(name))
            arrays[name] = other.arrays[name][(*rows, mine)]
        return Permutations(self.symmetry, arrays)

    def inverse(self) -> Permutations:
        """The element that undoes this one."""
        arrays = {}
        for name, mine in self.arrays.items():
            out = np.empty_like(mine)
            rows = tuple(b[..., None] for b in self.source_bases(name))
            out[(*rows, mine)] = np.broadcast_to(np.arange(mine.shape[-1]), mine.shape)
            arrays[name] = out
        return Permutations(self.symmetry, arrays)

    def _same_symmetry(self, other: Permutations) -> None:
        same = {g.name: self.symmetry.shape(g.name) for g in self.symmetry.groups} == {
            g.name: other.symmetry.shape(g.name) for g in other.symmetry.groups
        }
        if not same:
            raise ArchitectureMismatch("the two permutations belong to different symmetries")

    # -- action on weights -----------------------------------------------------------------------------------------

    def apply(self, weights: Weights) -> Weights:
        """The same function with its units in another order: a new state dict, or a copy of the module.

        Nothing is mutated. Keys, their order, dtypes and devices stay; keys that name one tensor still do; what no
        group touches is passed through.

        Raises:
            ArchitectureMismatch: a tensor has another shape than the symmetry says, or a moved tensor is missing.
        """
        if isinstance(weights, torch.nn.Module):
            moved = copy.deepcopy(weights)
            moved.load_state_dict(self.apply(dict(weights.state_dict())))
            return moved
        return self._apply_state(weights)

    def _apply_state(self, state: Mapping[str, torch.Tensor]) -> Any:
        layout = self.symmetry.fit(
            {key: tuple(state[key].shape) for key in self.symmetry.layout if key in state}
        ).layout
        moved: dict[tuple[Any, ...], torch.Tensor] = {}
        out = dict(state)
        for key, tensor in state.items():
            if key in layout:
                # the storage object tells aliases apart even where there is no memory (meta)
                same = (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.shape, tensor.stride())
                if same not in moved:
                    moved[same] = self.move_tensor(tensor, layout[key])
                out[key] = moved[same]
        return out

    @torch.no_grad()
    def move_tensor(self, tensor: torch.Tensor, blocks: tuple[Block, ...]) -> torch.Tensor:
        """``tensor`` with the units of every block permuted; same shape, dtype and device. Itself if nothing moves."""
        moving = [(block, moves) for block in blocks if (moves := [m for m in block.moves if self._moves(m)])]
        if not moving:
            return tensor
        # as integers of the same width: exact, and not every dtype can be indexed
        width = INTEGERS.get(tensor.dtype.itemsize, tensor.dtype)
        source = tensor.detach().view(width)
        if len(blocks) == 1 and _is_whole(blocks[0], tensor.shape):  # no copy to put it in: large tensors are such
            return self._moved(source, *moving[0]).contiguous().view(tensor.dtype)
        out = tensor.detach().clone()
        target = out.view(width)
        for block, moves in moving:
            rows = block_index(block)
            target[rows] = self._moved(source[rows], block, moves)
        return out

    def _moved(self, x: torch.Tensor, block: Block, moves: list[Move]) -> torch.Tensor:
        """What stands in a block, moved; laid out as it was."""
        lengths, x = x.shape, x.reshape(block.sizes)  # one dimension a factor
        # a group's own units first, while its bases still stand at their old places in the source
        for move in reversed(self._bases_first(moves)):
            x = self._gather(x, move)
        return x.reshape(lengths)

    def _moves(self, move: Move) -> bool:
        array = self.arrays[move.group]
        return not (array == np.arange(array.shape[-1])).all()

    def _bases_first(self, moves: list[Move]) -> list[Move]:
        order = {name: i for i, name in enumerate(self.symmetry.bases_first())}
        return sorted(moves, key=lambda m: order[m.group])

    def _gather(self, x: torch.Tensor, move: Move) -> torch.Tensor:
        """Permute the joint index of ``move.dims`` of x, by the permutation that the base index selects."""
        array = self.arrays[move.group]
        if move.over:
            # Called before the bases move: row h' of x later lands at the h with P[h] = h'; so row P[h] needs G[h].
            by_source = np.empty_like(array)
            by_source[self.source_bases(move.group)] = array
            array = by_source
        index = torch.from_numpy(np.array(array)).to(x.device)  # (bases ..., joint unit)
        if not move.over:
            return _select(x, move.dims, index)
        # base unit by base unit: one index for all of x would be of its size, in 8 bytes an entry
        out = torch.empty_like(x)
        dims = [d - sum(o < d for o in move.over) for d in move.dims]  # where they are once the bases are chosen
        for unit in np.ndindex(array.shape[:-1]):
            chosen = dict(zip(move.over, unit))
            part = tuple(chosen.get(d, slice(None)) for d in range(x.dim()))
            out[part] = _select(x[part], dims, index[unit])
        return out

    # -- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write arrays and symmetry to one safetensors file; never leaves a half-written file."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self.arrays.items()}
        # the order of the layout is the model's: keys stay as they are
        metadata = {"format": FORMAT, "symmetry": json.dumps(symmetry_to_json(self.symmetry))}
        with write_beside(Path(path)) as beside:
            save_file(arrays, beside, metadata=metadata)
            order_metadata(beside)

    @classmethod
    def load(cls, path: str | Path) -> Permutations:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged, or holds something else.
        """
        if not Path(path).is_file():
            raise InputError(f"no permutations file at {path}")
        try:
            with safe_open(str(path), framework="np") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path} is not a safetensors file ({error}); expected one that Permutations.save wrote"
            ) from None
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path} holds no permutations; expected a file that Permutations.save wrote")
        try:
            symmetry = symmetry_from_json(json.loads(metadata["symmetry"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error!r} in its symmetry); save the permutations again") from None
        return cls(symmetry, arrays)


def _select(x: torch.Tensor, dims: Sequence[int], index: torch.Tensor) -> torch.Tensor:
    """``x`` with the joint units (row-major) of ``dims`` taken in the order ``index``."""
    if len(dims) == 1:
        return x.index_select(dims[0], index)
    rest = [d for d in range(x.dim()) if d not in dims]
    order = [*rest, *dims]
    y = x.permute(*order)
    y = y.reshape(*y.shape[: len(rest)], -1).index_select(len(rest), index).reshape(y.shape)
    return y.permute(*np.argsort(order).tolist())


def _is_whole(block: Block, shape: torch.Size) -> bool:
    """Whether a block is all of a tensor, in its order."""
    index = block_index(block) if tuple(run.length for run in block.runs) == shape else ()
    return bool(index) and all(isinstance(where, slice) and where.start == 0 for where in index)


def block_index(block: Block) -> tuple[Any, ...]:
    """Index of a block in its tensor: slices where its runs are contiguous, else open-mesh position arrays."""
    units = [run.units().reshape(-1) for run in block.runs]
    if all((u == run.offset + np.arange(len(u))).all() for u, run in zip(units, block.runs)):
        return tuple(slice(run.offset, run.offset + run.length) for run in block.runs)
    return tuple(torch.from_numpy(mesh) for mesh in np.ix_(*units))
