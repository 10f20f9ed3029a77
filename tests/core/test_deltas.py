"""Deltas: what a batch adds to the statistics, as the aggregator gets it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modelserving.configuration import load_data_types
from modelserving.decoding import Decoder, TypedBatch
from modelserving.rejections import RejectedRecord
from modelserving.scoring import reject_all, score
from modelserving.servable import RecordFailure, Scores, Servable
from modelserving.statistics import deltas
from modelserving.statistics.deltas import BUCKETS, SAMPLE, rejected_deltas
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import StatsDelta
from tests.core.cases import MODEL, RECEIVED_US, TOPIC, FakeServable, raw, tally, wine
from tests.core.test_scoring import Fixed

WINE = load_data_types()["wine"]


def typed(rows: int) -> TypedBatch:
    values = [wine(alcohol=float(row)) for row in range(rows)]
    (batch,) = Decoder(load_data_types(), TOPIC).decode(raw(values), RECEIVED_US).batches
    return batch


def scored(rows: int, servable: Servable, step_us: int = 1000) -> StatsDelta:
    """The delta of one batch, scored under a clock that goes on by `step_us` at each look."""
    times = iter(range(RECEIVED_US, RECEIVED_US + 10**9, step_us))
    counted = tally()
    score(typed(rows), TOPIC, servable, MODEL, lambda: next(times), tally=counted)
    (delta,) = deltas.parse(value for _, value in counted.outgoing().messages)
    return delta


def test_all_records_of_a_batch_are_counted() -> None:
    delta = scored(100, FakeServable(WINE.feature_names))
    assert (delta.data_type, delta.model.name, delta.model.version) == ("wine", MODEL.name, MODEL.version)
    assert (delta.served, dict(delta.rejected)) == (100, {})
    assert delta.score_us == 1000
    assert delta.first_ms == delta.last_ms == RECEIVED_US // 1000 + 1
    assert sum(delta.latency_counts) == 100


def test_latency_is_from_each_records_own_timestamp() -> None:
    batch = typed(3)
    counted = tally()
    score(batch, TOPIC, FakeServable(WINE.feature_names), MODEL, lambda: RECEIVED_US, tally=counted)
    (delta,) = deltas.parse(value for _, value in counted.outgoing().messages)
    told = {max(0, RECEIVED_US // 1000 - timestamp) for timestamp in batch.records.column("timestamp_ms").to_pylist()}
    assert set(delta.latencies_ms) == told


def test_the_sample_is_bounded_and_has_scores_and_features() -> None:
    delta = scored(1000, FakeServable(WINE.feature_names))
    rows = np.frombuffer(delta.sample, "<f4").reshape(-1, 1 + len(delta.features))
    assert len(rows) == SAMPLE
    assert list(delta.features) == list(WINE.feature_names)
    alcohol = rows[:, 1 + list(delta.features).index("alcohol")]
    assert (alcohol[0], alcohol[-1]) == (0, 999)
    # The servable answers with the sum of the features, of which only one is not 0.
    assert rows[:, 0].tolist() == alcohol.tolist()


def test_labels_are_all_counted() -> None:
    answers = Scores(4, classes=("a", "b"), label_index=np.array([0, 1, 1, 1], np.int32))
    delta = scored(4, Fixed(answers))
    assert dict(delta.labels) == {"a": 1, "b": 3}
    assert np.isnan(np.frombuffer(delta.sample, "<f4").reshape(4, -1)[:, 0]).all()


def test_a_category_has_a_place_which_is_the_same_in_each_batch() -> None:
    def places(products: list[str | None]) -> list[float]:
        rows = len(products)
        features = pa.record_batch(
            {"product": pa.array(products, pa.string()), "@key": pa.array(products, pa.string())}
        )
        counted = tally()
        records = pa.record_batch({"timestamp_ms": pa.array([0] * rows, pa.int64())})
        counted.served(records, features, Scores(rows, numbers=np.zeros(rows)), RECEIVED_US)
        (delta,) = deltas.parse(value for _, value in counted.outgoing().messages)
        assert list(delta.features) == ["product"]
        drawn: list[float] = np.frombuffer(delta.sample, "<f4").reshape(rows, 2)[:, 1].tolist()
        return drawn

    bread, milk, again, none = places(["bread", "milk", "bread", None])
    assert bread == again != milk
    assert 0 <= bread < 1
    assert 0 <= milk < 1
    assert np.isnan(none)
    assert places(["milk"]) == [milk] == [0.73496413230896]


def test_failed_records_are_rejected_and_not_served() -> None:
    failures = (RecordFailure(1, Reason.MODEL_FAILED, "no"),)
    delta = scored(3, FakeServable(WINE.feature_names, lambda _: failures))
    assert (delta.served, dict(delta.rejected)) == (2, {Reason.MODEL_FAILED: 1})
    rows = np.frombuffer(delta.sample, "<f4").reshape(-1, 1 + len(delta.features))
    assert rows[:, 1 + list(delta.features).index("alcohol")].tolist() == [0, 2]


def test_without_a_model_all_are_rejected() -> None:
    counted = deltas.BatchTally("wine", None)
    reject_all(typed(3), TOPIC, Reason.NO_MODEL, "none", lambda: RECEIVED_US, tally=counted)
    (delta,) = deltas.parse(value for _, value in counted.outgoing().messages)
    assert (delta.data_type, delta.HasField("model"), dict(delta.rejected)) == ("wine", False, {Reason.NO_MODEL: 3})


def test_undecodable_records_are_counted_by_data_type_and_reason() -> None:
    def record(data_type: str, reason: Reason) -> RejectedRecord:
        return RejectedRecord(None, b"", TOPIC, 0, 0, 0, reason, "", data_type)

    turned_away = [record("", Reason.MALFORMED), record("wine", Reason.WRONG_TYPE), record("", Reason.MALFORMED)]
    found = list(deltas.parse(value for _, value in rejected_deltas(turned_away).messages))
    assert [(delta.data_type, dict(delta.rejected)) for delta in found] == [
        ("", {Reason.MALFORMED: 2}),
        ("wine", {Reason.WRONG_TYPE: 1}),
    ]


def test_a_version_is_always_in_the_same_bucket() -> None:
    keys = {scored_key for _ in range(3) for scored_key, _ in tally().outgoing().messages}
    assert len(keys) == 1
    (key,) = keys
    assert key is not None
    assert key in BUCKETS


def test_of_a_later_release() -> None:
    with pytest.raises(ValueError, match="later release"):
        list(deltas.parse([StatsDelta(schema=99).SerializeToString()]))
