"""Train a forest of 100 trees and a boosting of 200 on the red wine table: too large to be kept, quick to be made.

python train_ensembles.py FOLDER writes them there as PMML, and what scikit-learn answers to the table as expected.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pmml_writer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from wine_table import FEATURES, SEED, read_table

FOREST_DEPTH = 5
"""As Spark grows trees by default; scikit-learn by default sets no limit."""


def main(folder: Path) -> None:
    """Train, and write the models and the expected answers."""
    x, y = read_table()
    forest = RandomForestClassifier(100, max_depth=FOREST_DEPTH, random_state=SEED).fit(x, y)
    boosting = GradientBoostingRegressor(n_estimators=200, random_state=SEED).fit(x, y)
    expected = {
        "forest-100": {
            "prediction": forest.predict(x).tolist(),
            "classes": forest.classes_.tolist(),
            "probabilities": forest.predict_proba(x).tolist(),
        },
        "boosting-200": {"prediction": boosting.predict(x).tolist()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "forest-100.pmml").write_bytes(pmml_writer.random_forest(forest, FEATURES))
    (folder / "boosting-200.pmml").write_bytes(pmml_writer.gradient_boosting(boosting, FEATURES))
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
