"""Train the forest and write what MLServer serves; runs in its environment: a pickle fits one version of scikit-learn.

python -m bench.mlserver.train FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import joblib
from sklearn.ensemble import RandomForestClassifier

from bench.mlserver.messages import ADAPTIVE, ANSWERS, PLAIN
from bench.mlserver.table import read_table

SEED = 2009
TREES = 100
MODELS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    # As many as there are callers; they come together, so the time is not waited for.
    ADAPTIVE: {"max_batch_size": 32, "max_batch_time": 0.01},
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Write a folder for each model, and the forest's answers for the rows of the table."""
    x, y = read_table()
    forest = RandomForestClassifier(TREES, random_state=SEED).fit(x, y)
    for name, batching in MODELS.items():
        model = folder / name
        model.mkdir(parents=True)
        joblib.dump(forest, model / "model.joblib")
        settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel", **batching}
        settings["parameters"] = {"uri": "./model.joblib"}
        (model / "model-settings.json").write_text(json.dumps(settings))
    (folder / ANSWERS).write_text(json.dumps(forest.predict(x).tolist()))


if __name__ == "__main__":
    main()
