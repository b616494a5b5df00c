"""The demo on one packaged pair, with fewer batches."""

from graphmerge.checkpoint import load_model
from graphmerge.demo import run as demo_run


def test_the_whole_way(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_run, "CALIBRATION_BATCHES", 4)
    monkeypatch.setattr(demo_run, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(demo_run, "POINTS", 3)
    said = []
    result = demo_run.run("gpt2", tmp_path, said.append)
    assert result.verification.ok
    assert result.verification.untested == ()
    vanilla = result.curves["weights"].vanilla_barrier
    assert vanilla > 0.5
    assert all(curve.barrier < 0.8 * vanilla for curve in result.curves.values())
    assert all(path.exists() for path in result.files)
    assert any("proving" in line for line in said)
    assert load_model(tmp_path / "gpt2-merged").tokenizer is not None
