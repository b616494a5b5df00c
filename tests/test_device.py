import pytest
import torch

from graphmerge.device import resolve_device
from graphmerge.errors import InputError


def test_auto_is_cuda_where_there_is_one(monkeypatch):
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device() == torch.device("cpu")


def test_devices_may_be_given_as_they_are():
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("meta") == torch.device("meta")


@pytest.mark.parametrize("name", ["gpu", "cuda:77", ""])
def test_devices_that_are_not_here(name):
    with pytest.raises(InputError, match=f"device '{name}' cannot be used .*; try auto, cpu or cuda"):
        resolve_device(name)
