"""Make a slow model of a quick one: `models/smoothed.pb` of `models/tensorflow.pb`.

It answers with the mean of what the network says to many slight variations of a record, one after the other.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from wine_table import FEATURES

MODELS = Path(__file__).parent / "models"
VARIATIONS = 30_000
LARGEST = 0.02
"""A variation multiplies all features by 1, more or less so much."""


def smoothed(network: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """The graph that asks the network once for each variation."""
    (source,) = (node.name for node in network.node if node.op == "Placeholder")
    target = f"{network.node[-1].name}:0"
    tf.compat.v1.disable_control_flow_v2()  # its loops are functions beside the graph
    with tf.Graph().as_default() as graph:
        records = tf.compat.v1.placeholder(tf.float32, [None, len(FEATURES)], name="records")

        def ask(factor: tf.Tensor) -> tf.Tensor:
            (answer,) = tf.import_graph_def(
                network, input_map={f"{source}:0": records * factor}, return_elements=[target], name="network"
            )
            return answer

        def vary(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return number + 1, total + ask(1 + LARGEST * tf.sin(number))

        _, total = tf.while_loop(
            lambda number, _: number < VARIATIONS,
            vary,
            [tf.constant(1.0), ask(tf.constant(1.0))],
            parallel_iterations=1,
        )
        mean = tf.math.divide(total, float(VARIATIONS), name="mean")
    # Without the network's own placeholder, which nothing feeds.
    return tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), [mean.op.name])


def main() -> None:
    """Write it."""
    network = tf.compat.v1.GraphDef.FromString((MODELS / "tensorflow.pb").read_bytes())
    data = smoothed(network).SerializeToString(deterministic=True)
    (MODELS / "smoothed.pb").write_bytes(data)


if __name__ == "__main__":
    main()
