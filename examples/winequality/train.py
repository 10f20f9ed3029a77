"""Train the example's models on the red wine table and write them to the folder `models` beside this script."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pmml_writer
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import GammaRegressor, LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tensorflow import keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from wine_table import FEATURES, SEED, read_table

HERE = Path(__file__).parent
OUTPUTS = 9
"""Width of the networks' outputs, so that the index of the greatest one is the quality."""
EXPECTED_EVERY = 80
"""The expected answers are kept for every so many rows."""


def train_pmml(x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The PMML documents by file name, and the fitted estimators by the same names."""
    tree = DecisionTreeClassifier(max_depth=6, min_samples_leaf=5, random_state=SEED).fit(x, y)
    forest = RandomForestClassifier(10, max_depth=4, min_samples_leaf=5, random_state=SEED).fit(x, y)
    linear = LinearRegression().fit(x, y)
    gamma = GammaRegressor(alpha=1e-4, max_iter=10_000).fit(x, y)
    network = make_pipeline(
        StandardScaler(), MLPClassifier((12, 8), activation="tanh", alpha=0.01, max_iter=2_000, random_state=SEED)
    ).fit(x, y)
    documents = {
        "tree.pmml": pmml_writer.decision_tree(tree, FEATURES),
        "forest.pmml": pmml_writer.random_forest(forest, FEATURES),
        "linear.pmml": pmml_writer.linear_regression(linear, FEATURES),
        "glm.pmml": pmml_writer.gamma_regression(gamma, FEATURES),
        "neural-network.pmml": pmml_writer.perceptron(network[0], network[1], FEATURES),
    }
    estimators = dict(zip(documents, (tree, forest, linear, gamma, network), strict=True))
    return documents, estimators


def train_network(x: NDArray[np.float64], y: NDArray[np.int64], units: int) -> Any:
    """A Keras classifier with two hidden layers, the first of `units` units."""
    normalise = keras.layers.Normalization(mean=x.mean(axis=0), variance=x.var(axis=0))
    model = keras.Sequential(
        [
            keras.Input((len(FEATURES),), name="features"),
            normalise,
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(units // 2, activation="relu"),
            keras.layers.Dense(OUTPUTS, activation="softmax"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    model.fit(x.astype(np.float32), y, epochs=30, batch_size=64, verbose=0)
    return model


def frozen_graph(model: Any) -> bytes:
    """The network as a GraphDef with its variables as constants."""
    function = tf.function(model).get_concrete_function(tf.TensorSpec((None, len(FEATURES)), tf.float32))
    graph: bytes = convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString()
    return graph


def saved_model(model: Any) -> bytes:
    """The network as a zip of its SavedModel folder."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and path.name != "fingerprint.pb":
                    # the earliest time that a zip can hold, so that training again changes no more than it must
                    member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
                    zipped.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def main() -> None:
    """Train, and write the models and the expected answers."""
    keras.utils.set_random_seed(SEED)
    x, y = read_table()
    models, estimators = train_pmml(x, y)
    sample = x[::EXPECTED_EVERY]
    expected: dict[str, Any] = {}
    for name, estimator in estimators.items():
        expected[name] = {"prediction": estimator.predict(sample).tolist()}
        if hasattr(estimator, "predict_proba"):
            expected[name]["classes"] = estimator.classes_.tolist()
            expected[name]["probabilities"] = estimator.predict_proba(sample).tolist()
    for name, convert, units in (("tensorflow.pb", frozen_graph, 16), ("saved-model.zip", saved_model, 12)):
        network = train_network(x, y, units)
        models[name] = convert(network)
        expected[name] = {"outputs": np.asarray(network(sample.astype(np.float32))).tolist()}
    folder = HERE / "models"
    folder.mkdir(exist_ok=True)
    for name, data in models.items():
        (folder / name).write_bytes(data)
    (folder / "expected.json").write_text(json.dumps({"every": EXPECTED_EVERY, "models": expected}, indent=1) + "\n")


if __name__ == "__main__":
    main()
