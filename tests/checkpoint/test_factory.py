import pytest
import torch

from graphmerge.checkpoint import load_model
from graphmerge.errors import InputError

FILE = """
from dataclasses import dataclass
import torch
from helper import WIDTH

@dataclass
class Options:
    width: int = WIDTH

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(Options().width, 2)

    def forward(self, x):
        return self.line(x)

def build():
    return Net(), (torch.zeros(1, WIDTH),)

def bare():
    return Net()

def nothing():
    pass

def three():
    return 1, 2, 3

def broken():
    return Net().missing

def leaves():
    raise SystemExit("bye")

number = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helper.py").write_text("WIDTH = 5\n")
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_factory_gives_module_and_example_inputs(file):
    loaded = load_model(f"{file}:build")
    assert loaded.source == f"{file}:build"
    assert loaded.directory is None
    assert loaded.model(*loaded.example_inputs).shape == (1, 2)
    assert not loaded.model.training


def test_factory_may_give_a_module_alone(file):
    loaded = load_model(f"{file}:bare")
    assert isinstance(loaded.model, torch.nn.Module)
    assert loaded.example_inputs is None


def test_the_files_folder_does_not_stay_on_the_path(file):
    import sys

    before = list(sys.path)
    load_model(f"{file}:bare")
    assert sys.path == before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("absent", r"has no function 'absent'; it defines Net, Options, bare, broken, build, leaves, nothing, three$"),
        ("number", "has no function 'number'"),
        ("nothing", r"mine\.py:nothing returned a NoneType; expected a torch\.nn\.Module"),
        ("three", "returned a tuple of 3"),
        ("broken", r"mine\.py:31 raised AttributeError: 'Net' object has no attribute 'missing'"),
        ("leaves", r"mine\.py:34 raised SystemExit: bye"),
    ],
)
def test_functions_that_do_not_work(file, function, message):
    with pytest.raises(InputError, match=message):
        load_model(f"{file}:{function}")


def test_files_that_do_not_work(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*none\.py"):
        load_model(f"{tmp_path}/none.py:build")
    (tmp_path / "bad.py").write_text("x = 1\ndef build(:\n")
    with pytest.raises(InputError, match=r"bad\.py:2 raised SyntaxError"):
        load_model(f"{tmp_path}/bad.py:build")
    with pytest.raises(InputError, match=r"say which function builds what is wanted, as in .*bad\.py:build"):
        load_model(tmp_path / "bad.py")
    (tmp_path / "model.txt").write_text("")
    with pytest.raises(InputError, match="a factory lives in a Python file"):
        load_model(f"{tmp_path}/model.txt:build")
