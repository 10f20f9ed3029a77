"""TensorFlow is imported without Keras, which stays there for who asks for it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, sys
from modelserving.runtimes.tensorflow_import import tensorflow

before = dict(os.environ)
tf = tensorflow()
assert tensorflow() is tf
assert "keras" not in sys.modules, "Keras was imported"
assert dict(os.environ) == before
assert tf.keras.__version__.startswith("3."), tf.keras.__version__
"""


def test_keras_is_left_until_it_is_asked_for() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
