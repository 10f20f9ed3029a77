"""Models that are published while faults are injected: good ones, bad ones, and one that keeps a worker busy."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count, cycle

from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelType
from tests.flink.messages import EXAMPLE_MODELS, example_model, model, unloadable_model
from tests.kafka_client import produce

_FILES = ("tensorflow.pb", "linear.pmml", "tree.pmml", "saved-model.zip")
_COPIES = 40


class Models:
    """Publishes models for wine, each good one with a version of its own."""

    def __init__(self, bootstrap_servers: str, topics: Topics, small: Callable[[str], bytes]) -> None:
        """`small` makes a small model of a version, an encoded descriptor."""
        self._bootstrap_servers = bootstrap_servers
        self._topic = topics.models
        self._versions = count(1)
        self._small = small
        self._heavy = heavy_forest()
        self.newest_good = ""
        """The version of the newest good one."""
        self.bad: list[int] = []
        """Where on the model log the bad ones lie."""

    def publish_good(self) -> None:
        """A small model."""
        version = str(next(self._versions))
        self._publish(self._small(version))
        self.newest_good = version

    def publish_heavy(self) -> None:
        """A good model that takes seconds to load, and milliseconds for each record."""
        version = str(next(self._versions))
        self._publish(model(self._heavy, ModelType.PMML, version=version, name="heavy"))
        self.newest_good = version

    def publish_bad(self) -> None:
        """One that cannot be loaded."""
        self.bad.append(self._publish(unloadable_model()))

    def _publish(self, descriptor: bytes) -> int:
        ((_, offset),) = produce(self._bootstrap_servers, self._topic, [(None, descriptor)])
        return offset


def small_examples() -> Callable[[str], bytes]:
    """Makes small models, of three kinds in turn."""
    files = cycle(_FILES)
    return lambda version: example_model(next(files), version=version)


def heavy_forest() -> bytes:
    """The example's forest, each of its trees many times over: the same answers, for more work.

    The trees say what to do where a value is missing, in a way that only PMML4S knows, which is the slower engine.
    """
    text = (EXAMPLE_MODELS / "forest.pmml").read_text()
    text = text.replace("<TreeModel ", '<TreeModel missingValueStrategy="weightedConfidence" ')
    trees = re.search(r"(<Segmentation[^>]*>)(.*)(</Segmentation>)", text, flags=re.DOTALL)
    assert trees is not None
    copies = (trees[2].replace('<Segment id="', f'<Segment id="{number}-') for number in range(_COPIES))
    return f"{text[: trees.start(2)]}{''.join(copies)}{text[trees.end(2) :]}".encode()
