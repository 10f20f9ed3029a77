"""Train the models and write what MLServer serves; runs in its environment: a pickle fits one version of scikit-learn.

python -m bench.mlserver.train FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import joblib
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from bench.mlserver.messages import ADAPTIVE, ANSWERS, PLAIN, TREE
from bench.mlserver.table import read_table

SEED = 2009
TREES = 100
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    PLAIN: (RandomForestClassifier(TREES, random_state=SEED), {}),
    # As many as there are callers; they come together, so the time is not waited for.
    ADAPTIVE: (RandomForestClassifier(TREES, random_state=SEED), {"max_batch_size": 32, "max_batch_time": 0.01}),
    TREE: (DecisionTreeClassifier(max_depth=6, min_samples_leaf=5, random_state=SEED), {}),
}
"""Name → the model, and its settings that are not MLServer's defaults."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Write a folder for each model, and the models' answers for the rows of the table."""
    x, y = read_table()
    answers = {}
    for name, (estimator, batching) in MODELS.items():
        answers[name] = estimator.fit(x, y).predict(x).tolist()
        model = folder / name
        model.mkdir(parents=True)
        joblib.dump(estimator, model / "model.joblib")
        settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel", **batching}
        settings["parameters"] = {"uri": "./model.joblib"}
        (model / "model-settings.json").write_text(json.dumps(settings))
    (folder / ANSWERS).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
