import os

import pytest

from graphmerge.errors import InputError
from graphmerge.files import write_beside


def write(target, error=None):
    """Half a file, then the error, if one is given."""
    with write_beside(target) as beside:
        beside.write_text("half")
        if error is not None:
            raise error


def test_a_file_appears_whole_with_the_usual_rights(tmp_path):
    target, plain = tmp_path / "new" / "file", tmp_path / "plain"
    with write_beside(target) as beside:
        beside.write_text("all of it")
        beside.chmod(0o600)  # as safetensors leaves it
        assert not target.exists()
    plain.write_text("")
    assert target.read_text() == "all of it"
    assert target.stat().st_mode == plain.stat().st_mode
    assert os.listdir(target.parent) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match=r"could not be written .*No space left.* nothing was left behind|^$"):
        write(target, error)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_places_that_hold_no_file(tmp_path):
    with pytest.raises(InputError, match="is a directory; name a file to write"), write_beside(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be written"), write_beside(tmp_path / "file" / "below"):
        pass
