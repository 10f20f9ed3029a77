"""What scripted models are told to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

from modelserving.wire.model_pb2 import ModelType
from tests.flink.jobs import ROOT
from tests.flink.messages import model

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), str(ROOT)))}
"""Of a job whose models are scripted: the folder of `sitecustomize`, and that of the package which it names."""


class Script:
    """What the models of a test do; each by its name.

    Args:
        folder: of the scripts; jobs read it too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def model(self, name: str, answer: float, version: str = "1", data_type: str = "wine", **metrics: float) -> bytes:
        """An encoded descriptor of a model; `metrics` are figures of this version."""
        document = json.dumps({"answer": answer, "script": str(self._path(name))}).encode()
        return model(document, ModelType.PMML, data_type, version, name, metrics)

    def tell(self, name: str, **does: object) -> None:
        """Have a model do so from now on."""
        new = self._path(name).with_suffix(".new")
        new.write_text(json.dumps(does))
        new.rename(self._path(name))

    def asked(self, name: str) -> int:
        """How many records a model was asked about since it was first told something."""
        note = self._path(name).with_suffix(".asked")
        return sum(map(int, note.read_text().split())) if note.exists() else 0

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
