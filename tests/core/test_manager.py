"""The servable manager: aspired, live, last good."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from modelserving.errors import ModelRejected
from modelserving.manager import ServableManager
from modelserving.servable import ModelVersion, Scores, Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel


@dataclass
class Loads:
    """A loader that remembers what it loaded and what was closed, by version; versions in `failing` do not load."""

    failing: set[str] = field(default_factory=set)
    loaded: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def __call__(self, descriptor: ModelDescriptor) -> Servable:
        self.loaded.append(descriptor.version)
        if descriptor.version in self.failing:
            raise ModelRejected(Reason.UNLOADABLE, "no memory left")
        return Remembered(descriptor.version, self)


@dataclass
class Remembered:
    """A servable that tells its loader when it is closed."""

    version: str
    loads: Loads
    inputs: tuple[str, ...] = ()

    def score(self, batch: pa.RecordBatch) -> Scores:
        return Scores(batch.num_rows)

    def close(self) -> None:
        self.loads.closed.append(self.version)


def admitted(offset: int, data_type: str = "wine") -> AdmittedModel:
    version = f"{data_type}-{offset}"
    return AdmittedModel(
        offset=offset, descriptor=ModelDescriptor(name="m", dataType=data_type, version=version, sha256="ab")
    )


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def manager(loads: Loads) -> ServableManager:
    return ServableManager(loads)


def live(manager: ServableManager, data_type: str = "wine") -> str | None:
    model = manager.live(data_type)
    if model is None:
        return None
    assert model.version == ModelVersion("m", f"{data_type}-{model.offset}", "ab")
    assert isinstance(model.servable, Remembered)
    assert model.servable.version == model.version.version
    return model.version.version


def test_nothing_is_live_before_anything_was_aspired(manager: ServableManager, loads: Loads) -> None:
    assert live(manager) is None
    assert loads.loaded == []


def test_an_aspired_version_is_loaded_once_when_it_is_needed(manager: ServableManager, loads: Loads) -> None:
    manager.aspire(admitted(0))
    assert loads.loaded == []
    assert [live(manager) for _ in range(3)] == ["wine-0"] * 3
    assert loads.loaded == ["wine-0"]
    assert loads.closed == []


def test_a_swap_closes_the_replaced_version(manager: ServableManager, loads: Loads) -> None:
    for offset in (0, 1, 2):
        manager.aspire(admitted(offset))
        assert live(manager) == f"wine-{offset}"
    assert loads.loaded == ["wine-0", "wine-1", "wine-2"]
    assert loads.closed == ["wine-0", "wine-1"]


def test_of_several_versions_between_two_batches_the_newest_alone_is_loaded(
    manager: ServableManager, loads: Loads
) -> None:
    for offset in (0, 3, 1, 2):
        manager.aspire(admitted(offset))
    assert live(manager) == "wine-3"
    assert loads.loaded == ["wine-3"]


@pytest.mark.parametrize("offset", [4, 5], ids=["older", "the live one"])
def test_what_is_not_newer_on_the_log_is_ignored(manager: ServableManager, loads: Loads, offset: int) -> None:
    manager.aspire(admitted(5))
    assert live(manager) == "wine-5"
    manager.aspire(admitted(offset))
    assert live(manager) == "wine-5"
    assert loads.loaded == ["wine-5"]
    assert loads.closed == []


def test_the_last_good_version_goes_on_where_a_newer_one_cannot_be_loaded(
    manager: ServableManager, loads: Loads
) -> None:
    loads.failing = {"wine-1"}
    manager.aspire(admitted(0))
    assert live(manager) == "wine-0"
    manager.aspire(admitted(1))
    assert [live(manager), live(manager)] == ["wine-0"] * 2
    assert loads.loaded == ["wine-0", "wine-1"]
    assert loads.closed == []
    manager.aspire(admitted(2))
    assert live(manager) == "wine-2"
    assert loads.closed == ["wine-0"]


def test_an_older_version_may_take_the_place_of_one_that_cannot_be_loaded(
    manager: ServableManager, loads: Loads
) -> None:
    loads.failing = {"wine-1"}
    manager.aspire(admitted(1))
    assert live(manager) is None
    manager.aspire(admitted(0))
    assert live(manager) == "wine-0"


def test_data_types_have_their_own_models(manager: ServableManager, loads: Loads) -> None:
    manager.aspire(admitted(0))
    manager.aspire(admitted(1, "beer"))
    assert (live(manager), live(manager, "beer")) == ("wine-0", "beer-1")
    manager.aspire(admitted(2, "beer"))
    assert (live(manager), live(manager, "beer")) == ("wine-0", "beer-2")
    assert loads.closed == ["beer-1"]


def test_close_frees_every_live_model(manager: ServableManager, loads: Loads) -> None:
    manager.aspire(admitted(0))
    manager.aspire(admitted(1, "beer"))
    assert (live(manager), live(manager, "beer")) == ("wine-0", "beer-1")
    manager.aspire(admitted(2))
    manager.close()
    assert sorted(loads.closed) == ["beer-1", "wine-0"]
    assert (live(manager), live(manager, "beer")) == (None, None)
    assert loads.loaded == ["wine-0", "beer-1"]


def test_a_bug_in_a_loader_is_not_hidden() -> None:
    def broken(_: ModelDescriptor) -> Servable:
        raise ZeroDivisionError

    manager = ServableManager(broken)
    manager.aspire(admitted(0))
    with pytest.raises(ZeroDivisionError):
        manager.live("wine")
