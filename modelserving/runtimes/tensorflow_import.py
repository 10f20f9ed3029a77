"""TensorFlow, imported without Keras: no model that is served needs it, and it doubles what the import costs."""

from __future__ import annotations

import os
import sys
from typing import Any

_LEGACY = "TF_USE_LEGACY_KERAS"
"""TensorFlow's own variable. With it, an older Keras is imported at once if it is installed, and none if it isn't."""


def tensorflow() -> Any:
    """The module `tensorflow`. Its `keras`, for who asks for it, is the one that there would be without this."""
    without_keras = "tensorflow" not in sys.modules and _LEGACY not in os.environ
    if without_keras:
        os.environ[_LEGACY] = "1"
    try:
        import tensorflow as tf
    finally:
        if without_keras:  # it is read again once `tensorflow.keras` is first used
            os.environ.pop(_LEGACY, None)
    return tf
