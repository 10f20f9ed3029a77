"""The probe batch: the data type's samples, or rows over the model's own domain."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from modelserving.arrow import ARROW_TYPES
from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.probe import ROWS, probe_batch
from modelserving.servable import Domain
from tests.core.cases import TICKETS, FakeServable, load_text

PAIR = DataType("pair", (Feature("size"), Feature("colour", FeatureKind.STRING)))


def values(batch: pa.RecordBatch, name: str) -> list[float | str | None]:
    found: list[float | str | None] = batch.column(name).to_pylist()
    return found


def test_all_features_are_columns_also_those_that_the_model_does_not_read(tmp_path: Path) -> None:
    (ticket,) = load_text(TICKETS, tmp_path)
    batch = probe_batch(ticket, FakeServable(("amount",)))
    assert batch.schema.names == ["amount", "product", "age"]
    assert batch.schema.types == [ARROW_TYPES[feature.kind] for feature in ticket.features]
    assert batch.num_rows == ROWS


def test_the_same_rows_each_time() -> None:
    domain = {"size": Domain(numbers=tuple(map(float, range(1000)))), "colour": Domain(categories=("red", "blue"))}
    assert probe_batch(PAIR, FakeServable((), domain=domain)).equals(probe_batch(PAIR, FakeServable((), domain=domain)))


def test_every_value_of_a_small_domain_comes_and_in_combination() -> None:
    domain = {"size": Domain(numbers=(1.0, 2.0, 30.0)), "colour": Domain(categories=("red", "blue"))}
    batch = probe_batch(PAIR, FakeServable((), domain=domain))
    combinations = set(zip(values(batch, "size"), values(batch, "colour"), strict=True))
    assert combinations == {(size, colour) for size in (1.0, 2.0, 30.0) for colour in ("red", "blue")}


def test_a_large_domain_is_covered_from_end_to_end() -> None:
    numbers = tuple(float(number) for number in range(10_000))
    chosen = values(probe_batch(PAIR, FakeServable((), domain={"size": Domain(numbers=numbers)})), "size")
    assert len(set(chosen)) == ROWS
    assert {0.0, 9_999.0} < set(chosen) < set(numbers)


def test_numbers_of_which_nothing_is_known_are_positive_and_moderate() -> None:
    chosen = [number for number in values(probe_batch(PAIR, FakeServable(())), "size") if isinstance(number, float)]
    assert len(chosen) == ROWS
    assert all(0 < number < 10 for number in chosen)
    assert len(set(chosen)) > 3


def test_samples_are_the_rows() -> None:
    features = (Feature("size"), Feature("colour", FeatureKind.STRING, optional=True))
    sampled = DataType("pair", features, samples=((1.5, "red"), (-2.0, None)))
    batch = probe_batch(sampled, FakeServable((), domain={"size": Domain(numbers=(7.0,))}))
    assert batch.to_pylist() == [{"size": 1.5, "colour": "red"}, {"size": -2.0, "colour": None}]
    assert batch.schema.types == [pa.float64(), pa.string()]
