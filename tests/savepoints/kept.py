"""The savepoints that are kept of each release, and what was on the logs when each was taken."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from modelserving.flink.options import JOINS
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from tests.flink.messages import wine_table

FOLDER = Path(__file__).parent
DATA_TYPES = ("wine", "red", "white")
"""Of every kept savepoint; all of them wine by another name."""
_MANIFEST = "manifest.json"
_MODELS = "models"
_SAVEPOINT = "savepoint"


@dataclass(frozen=True, slots=True)
class Kept:
    """A savepoint, and what a broker must hold for it to be restored."""

    release: str
    join: str
    parallelism: int
    topic_prefix: str
    """The savepoint names its topics."""
    scored: tuple[int, ...]
    """Of each partition of the records: so many were scored, from offset 0 on."""
    held: tuple[int, ...]
    """Of each partition: so many after those were read and not yet scored. They are in the savepoint, which up to
    release 0.2 was made while a window was open."""
    model_log: tuple[str, ...]
    """What was published, in words, by offset; the savepoint is after all of it."""
    serving: dict[str, tuple[str, str]]
    """Data type → name and version of the model that serves."""
    scheduled: dict[str, tuple[str, str]]
    """Data type → name and version of the model that waits for its activation time, which does not come."""

    @property
    def topics(self) -> Topics:
        """The topics that the savepoint names."""
        return Topics(self.topic_prefix)

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return FOLDER / self.release / self.join

    @property
    def savepoint(self) -> Path:
        """Flink's files."""
        return self.folder / _SAVEPOINT

    @property
    def models(self) -> list[bytes]:
        """The messages of the model log."""
        return [(self.folder / _MODELS / str(offset)).read_bytes() for offset in range(len(self.model_log))]

    def serving_offset(self, data_type: str) -> int:
        """Where the model that serves is on the model log."""
        for offset, message in reversed(list(enumerate(self.models))):
            descriptor = ModelDescriptor.FromString(message)
            if (descriptor.dataType, (descriptor.name, descriptor.version)) == (data_type, self.serving[data_type]):
                return offset
        raise LookupError(f"{self.folder}: what serves {data_type} is not on the model log")

    def write(self, models: list[bytes]) -> None:
        """Write all but Flink's files."""
        (self.folder / _MODELS).mkdir(parents=True)
        for offset, message in enumerate(models):
            (self.folder / _MODELS / str(offset)).write_bytes(message)
        (self.folder / _MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n")


def kept_savepoints() -> list[Kept]:
    """All that are kept of the serving job."""
    return [_read(file) for join in JOINS for file in sorted(FOLDER.glob(f"*/{join}/{_MANIFEST}"))]


def data_types_file(folder: Path) -> Path:
    """The configuration of `DATA_TYPES`, written into `folder`."""
    file = folder / "data-types.toml"
    file.write_text("\n".join(wine_table(name) for name in DATA_TYPES))
    return file


def _read(file: Path) -> Kept:
    fields = json.loads(file.read_text())
    for name in ("scored", "held", "model_log"):
        fields[name] = tuple(fields[name])
    for name in ("serving", "scheduled"):
        fields[name] = {data_type: tuple(model) for data_type, model in fields[name].items()}
    return Kept(**fields)
