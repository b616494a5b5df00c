"""Safetensors files tensor by tensor: the bytes are those of the library."""

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model

from graphmerge.checkpoint.shards import (
    DTYPES,
    bytes_in,
    lay_out,
    read_entries,
    read_metadata,
    read_tensor,
    same_bytes,
    write_tensor,
)
from graphmerge.errors import InputError
from tests.checkpoint.tiny import Tied


@pytest.fixture
def state():
    """Every dtype twice, an empty tensor, a scalar, a name that is not ASCII."""
    made = {"empty": torch.empty(0, 3), "scalar": torch.tensor(3.0), "größe": torch.ones(2)}
    for n, (name, dtype) in enumerate(DTYPES.items(), start=1):
        for letter in "ba":
            made[f"{letter}.{name}"] = torch.arange(n).float().to(dtype)
    return made


def test_the_bytes_are_those_of_the_library(state, tmp_path):
    save_file(state, tmp_path / "one.safetensors", metadata={"format": "pt", "by": "hand"})
    entries = read_entries([tmp_path / "one.safetensors"])
    layout = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    metadata = read_metadata(tmp_path / "one.safetensors")
    for name, place in reversed(lay_out(tmp_path / "two.safetensors", layout, metadata).items()):
        write_tensor(place, name, read_tensor(entries[name]))
    written = (tmp_path / "two.safetensors").read_bytes()
    # the library writes its metadata in an order of its own
    expected = (tmp_path / "one.safetensors").read_bytes()
    assert len(written) == len(expected)
    assert written[written.index(b"}}") :] == expected[expected.index(b"}}") :]
    again = load_file(tmp_path / "two.safetensors")
    assert again.keys() == state.keys()
    for name, tensor in state.items():
        for found in (again[name], read_tensor(entries[name])):
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(raw(found), raw(tensor))


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8)


def test_aliases_in_the_metadata(tmp_path):
    save_model(Tied(), str(tmp_path / "tied.safetensors"))
    entries = read_entries([tmp_path / "tied.safetensors"])
    assert entries["head.weight"] == entries["embed.weight"]
    assert same_bytes(entries["head.weight"], entries["embed.weight"])


def test_bytes_that_differ(tmp_path):
    x = torch.zeros(3 << 22)  # three chunks
    y = x.clone()
    y[-1] = 1
    save_file({"x": x, "y": y, "z": x.clone(), "w": x.view(3, -1).clone()}, tmp_path / "f.safetensors")
    entries = read_entries([tmp_path / "f.safetensors"])
    assert same_bytes(entries["x"], entries["z"])
    assert not same_bytes(entries["x"], entries["y"])
    assert not same_bytes(entries["x"], entries["w"])


def test_damaged_files(tmp_path, state):
    file = tmp_path / "f.safetensors"
    with pytest.raises(InputError, match="there is no file"):
        read_entries([file])
    save_file(state, file)
    entries = read_entries([file])
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_entries([file])
    last = max(entries.values(), key=lambda entry: entry.start)
    with pytest.raises(InputError, match="ends in the middle"):
        read_tensor(last)
    file.write_bytes(b"")
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_entries([file])


def test_what_is_written_is_what_was_promised(tmp_path):
    place = lay_out(tmp_path / "f", {"x": (torch.float16, (2,))}, {})["x"]
    for tensor in (torch.ones(2), torch.ones(1, 2, dtype=torch.float16)):
        with pytest.raises(InputError, match="x became"):
            write_tensor(place, "x", tensor)


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "0MB", "1e3MB", "2 TB"])
def test_sizes_that_are_none(text):
    with pytest.raises(InputError, match="write a number and kB, MB or GB"):
        bytes_in(text)
