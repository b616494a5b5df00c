"""How well the models of the results were trained: kept beside the results, as the models are not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphmerge.demo.data import TRAINING_FILE
from graphmerge.files import write_beside

TRAINED = "training.json"  # in the folder of the results: by the name of the model


def note_training(models: Iterable[Path], results: Path) -> None:
    """Add what was recorded when the models were trained to the folder of the results."""
    found = trained_models(results)
    for model in models:
        if (model / TRAINING_FILE).is_file():
            found[model.name] = json.loads((model / TRAINING_FILE).read_text(encoding="utf-8"))
    with write_beside(results / TRAINED) as beside:
        beside.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")


def trained_models(results: Path) -> dict[str, dict[str, Any]]:
    """What is known of the models of the results, by their names."""
    file = results / TRAINED
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
