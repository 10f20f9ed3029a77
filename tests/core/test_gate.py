"""The gate: what a model must show before it serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from modelserving import gate, loader
from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.errors import ModelRejected
from modelserving.events import LONGEST_DETAIL
from modelserving.gate import LARGE_BATCH_ROWS, GateLimits, Phase, load_warm
from modelserving.probe import ROWS
from modelserving.servable import Domain, RecordFailure, Scores
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine
from tests.core.cases import FakeServable
from tests.runtimes.pmml_samples import AGE, AMOUNT, SHOP, TOTAL, document, linear, schema
from tests.runtimes.wine import EXAMPLE, WINE

PAIR = DataType("pair", (Feature("a"), Feature("b")))
SAMPLED = replace(PAIR, samples=((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)))


@dataclass
class Answering:
    """A servable that answers as it is told."""

    answer: Callable[[pa.RecordBatch], Scores]
    inputs: tuple[str, ...] = ("a", "b")
    domain: Mapping[str, Domain] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    closed: int = 0
    engine: str = "own"
    engine_reason: str = "a test says so"

    def score(self, batch: pa.RecordBatch) -> Scores:
        self.batches.append(batch.num_rows)
        return self.answer(batch)

    def close(self) -> None:
        self.closed += 1


def ones(batch: pa.RecordBatch, failures: Iterable[RecordFailure] = ()) -> Scores:
    return Scores(batch.num_rows, numbers=np.ones(batch.num_rows), failures=tuple(failures))


def failing(rows: Callable[[int], Iterable[int]], reason: Reason) -> Answering:
    """A servable that fails on some rows, chosen by the number of rows."""
    return Answering(lambda batch: ones(batch, (RecordFailure(row, reason, "wrong") for row in rows(batch.num_rows))))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Has the loader return a servable, or raise."""

    def set_loaded(loaded: Any) -> None:
        def load(*_: object) -> Any:
            if isinstance(loaded, Exception):
                raise loaded
            return loaded

        monkeypatch.setattr(loader, "load", load)

    return set_loaded


def check(data_type: DataType = PAIR, limits: GateLimits = GateLimits(), **more: Any) -> Engine:  # noqa: B008 - frozen
    return gate.check(ModelDescriptor(name="m", dataType=data_type.name), data_type, limits, **more)


def refusal(data_type: DataType = PAIR, **more: Any) -> str:
    """Why the gate refuses what is loaded."""
    with pytest.raises(ModelRejected) as caught:
        check(data_type, **more)
    assert caught.value.reason == Reason.FAILED_GATE
    return caught.value.detail


def test_a_good_model_passes_phase_by_phase(loads: Callable[[Any], None]) -> None:
    servable = Answering(ones)
    loads(servable)
    phases: list[tuple[Phase, int]] = []
    check(announce=lambda phase: phases.append((phase, len(servable.batches))))
    assert phases == [(Phase.LOAD, 0), (Phase.PROBE, 1), (Phase.WARM, 2)]
    assert servable.batches == [ROWS, ROWS, 1, LARGE_BATCH_ROWS]
    assert servable.closed == 1


def test_what_evaluates_it_is_told_in_a_few_words(loads: Callable[[Any], None]) -> None:
    loads(Answering(ones, engine_reason="it says " + "so" * 1_000_000))
    engine = check()
    assert (engine.name, engine.reason[:10], len(engine.reason)) == ("own", "it says so", LONGEST_DETAIL)


@pytest.mark.parametrize("seconds", [4.9, 5.0])
def test_in_time(seconds: float, loads: Callable[[Any], None]) -> None:
    loads(Answering(ones))
    check(limits=GateLimits(probe_s=5.0), clock_s=iter([100.0, 100.0 + seconds]).__next__)


def test_slower_than_the_limit(loads: Callable[[Any], None]) -> None:
    servable = Answering(ones)
    loads(servable)
    detail = refusal(limits=GateLimits(probe_s=5.0), clock_s=iter([100.0, 105.5]).__next__)
    assert "longer than 5 s to answer the probe" in detail
    assert servable.closed == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["numbers", "probabilities", "outputs"])
def test_an_answer_that_is_not_finite(what: str, value: float, loads: Callable[[Any], None]) -> None:
    def answer(batch: pa.RecordBatch) -> Scores:
        rows = batch.num_rows
        values = np.ones(rows) if what == "numbers" else np.ones((rows, 2))
        values[rows // 2] = value
        labels = np.zeros(rows, np.int32)
        parts: dict[str, Any] = {what: values}
        return Scores(rows, classes=("x", "y"), label_index=labels, **parts)

    loads(Answering(answer))
    detail = refusal()
    assert f"probe row {ROWS // 2 + 1} (a=" in detail
    assert "not finite" in detail


def not_wide_enough(rows: int) -> dict[str, Any]:
    return {"classes": ("x", "y"), "label_index": np.zeros(rows, np.int32), "probabilities": np.ones((rows, 1))}


SHAPES: dict[str, tuple[Callable[[int], Scores], str]] = {
    "a row too few": (lambda rows: Scores(rows - 1, numbers=np.ones(rows - 1)), "rows"),
    "a number too few": (lambda rows: Scores(rows, numbers=np.ones(rows - 1)), "numbers"),
    "one number for all": (lambda rows: Scores(rows, numbers=np.ones(1)), "numbers"),
    "a vector where a number is due": (lambda rows: Scores(rows, numbers=np.ones((rows, 2))), "numbers"),
    "a label too many": (lambda rows: Scores(rows, label_index=np.zeros(rows + 1, np.int32)), "labels"),
    "a probability too few": (lambda rows: Scores(rows, **not_wide_enough(rows)), "probabilities"),
    "a number where a vector is due": (lambda rows: Scores(rows, outputs=np.ones(rows)), "outputs"),
    "a vector too few": (lambda rows: Scores(rows, outputs=np.ones((rows - 1, 2))), "outputs"),
    "nothing": (Scores, "neither"),
}


@pytest.mark.parametrize(("answer", "what"), SHAPES.values(), ids=SHAPES.keys())
def test_wrong_output_width(answer: Callable[[int], Scores], what: str, loads: Callable[[Any], None]) -> None:
    loads(Answering(lambda batch: answer(batch.num_rows)))
    assert what in refusal()


RECORDS_FAULTS = [Reason.INVALID_VALUE, Reason.MISSING_FEATURE, Reason.WRONG_TYPE]


@pytest.mark.parametrize("reason", RECORDS_FAULTS, ids=Reason.Name)
def test_generated_rows_may_be_turned_away_but_not_all(reason: Reason, loads: Callable[[Any], None]) -> None:
    loads(failing(lambda rows: range(1, rows), reason))
    check()
    loads(failing(range, reason))
    assert Reason.Name(reason) in refusal()


def test_no_generated_row_may_make_the_model_fail(loads: Callable[[Any], None]) -> None:
    loads(failing(lambda rows: [rows - 1], Reason.MODEL_FAILED))
    assert f"probe row {ROWS} (a=" in refusal()


@pytest.mark.parametrize("reason", [*RECORDS_FAULTS, Reason.MODEL_FAILED], ids=Reason.Name)
def test_every_sample_must_be_answered(reason: Reason, loads: Callable[[Any], None]) -> None:
    loads(Answering(ones))
    check(SAMPLED)
    loads(failing(lambda _: [1] if reason != Reason.MODEL_FAILED else [2], reason))
    detail = refusal(SAMPLED)
    row = "sample 2 (a=3.0, b=4.0)" if reason != Reason.MODEL_FAILED else "sample 3 (a=5.0, b=6.0)"
    assert f"{row}: {Reason.Name(reason)}: wrong" in detail


def raising_at(rows: int) -> Callable[[pa.RecordBatch], Scores]:
    def answer(batch: pa.RecordBatch) -> Scores:
        if batch.num_rows == rows:
            raise ZeroDivisionError("oops")
        return ones(batch)

    return answer


@pytest.mark.parametrize("rows", [1, ROWS, LARGE_BATCH_ROWS])
def test_a_batch_of_any_size_that_makes_it_raise(rows: int, loads: Callable[[Any], None]) -> None:
    servable = Answering(raising_at(rows))
    loads(servable)
    assert f"{rows} rows made it raise ZeroDivisionError: oops" in refusal()
    assert servable.closed == 1


def test_inputs_that_the_data_type_lacks(loads: Callable[[Any], None]) -> None:
    loads(FakeServable(("b", "d", "c")))
    assert "reads c, d, which data type 'pair' lacks" in refusal()


@pytest.mark.parametrize(
    "through", [check, lambda: load_warm(ModelDescriptor(), PAIR, Engine())], ids=["check", "load_warm"]
)
def test_what_loading_raises(through: Callable[[], object], loads: Callable[[Any], None]) -> None:
    loads(ModelRejected(Reason.UNSAFE, "no"))
    with pytest.raises(ModelRejected, match="UNSAFE: no"):
        through()
    loads(MemoryError("much"))
    with pytest.raises(ModelRejected, match="UNLOADABLE: its loader raised MemoryError: much"):
        through()


def test_load_warm_scores_batches_of_every_size(loads: Callable[[Any], None]) -> None:
    servable = Answering(ones)
    loads(servable)
    assert load_warm(ModelDescriptor(), PAIR, Engine()) is servable
    assert servable.batches == [ROWS, 1, LARGE_BATCH_ROWS]
    assert servable.closed == 0


def test_load_warm_closes_what_cannot_score(loads: Callable[[Any], None]) -> None:
    servable = Answering(raising_at(1))
    loads(servable)
    with pytest.raises(ModelRejected, match="UNLOADABLE: scoring a probe raised ZeroDivisionError"):
        load_warm(ModelDescriptor(), PAIR, Engine())
    assert servable.closed == 1


# real models


def verdict(
    data: bytes, kind: ModelType, data_type: DataType, limits: GateLimits | None = None
) -> ModelRejected | None:
    descriptor = ModelDescriptor(name="m", dataType=data_type.name, modeltype=kind, data=data)
    try:
        gate.check(descriptor, data_type, limits or GateLimits())
    except ModelRejected as fault:
        return fault
    return None


def pmml_verdict(model: str, *fields: str, data_type: DataType = SHOP) -> ModelRejected | None:
    return verdict(document(model, *fields, AMOUNT), ModelType.PMML, data_type)


def exponential(coefficient: float) -> str:
    return (
        linear("age")
        .replace("functionName", 'normalizationMethod="exp" functionName')
        .replace('coefficient="2"', f'coefficient="{coefficient}"')
    )


def logarithm(data: str = AGE) -> tuple[str, str]:
    """A regression on ln(age), and the data field."""
    derived = (
        '<LocalTransformations><DerivedField name="log" optype="continuous" dataType="double">'
        '<Apply function="ln"><FieldRef field="age"/></Apply></DerivedField></LocalTransformations>'
    )
    table = '<RegressionTable intercept="1"><NumericPredictor name="log" coefficient="2"/></RegressionTable>'
    model = f'<RegressionModel functionName="regression">{schema("amount", "age")}{derived}{table}</RegressionModel>'
    return model, data


def bounded(left: float, right: float) -> str:
    interval = f'<Interval closure="closedClosed" leftMargin="{left}" rightMargin="{right}"/>'
    return AGE.replace("/>", f">{interval}</DataField>")


def assert_failed(fault: ModelRejected | None, detail: str) -> None:
    assert fault is not None
    assert fault.reason == Reason.FAILED_GATE
    assert detail in fault.detail


def test_pmml_that_overflows() -> None:
    assert pmml_verdict(exponential(2.0), AGE) is None
    assert_failed(pmml_verdict(exponential(2000.0), AGE), "no finite answer")


def test_pmml_that_takes_the_logarithm_of_a_negative_number() -> None:
    """Numbers of which nothing is known are positive; what the document itself allows is tried."""
    assert pmml_verdict(*logarithm()) is None
    assert pmml_verdict(*logarithm(bounded(0.5, 90.0))) is None
    assert_failed(pmml_verdict(*logarithm(bounded(-20.0, 90.0))), "(age=-")


def test_pmml_on_samples() -> None:
    """A sample that the document calls invalid fails the model, as one without a finite answer does."""
    bound = bounded(0.0, 90.0)
    young = replace(SHOP, samples=((30.0, None, "red"),))
    assert pmml_verdict(linear("age"), bound, data_type=young) is None
    old = replace(SHOP, samples=((30.0, None, "red"), (91.0, None, "red")))
    assert_failed(pmml_verdict(linear("age"), bound, data_type=old), "sample 2 (age=91.0): INVALID_VALUE")
    zero = replace(SHOP, samples=((0.0, None, "red"),))
    assert_failed(pmml_verdict(*logarithm(), data_type=zero), "sample 1 (age=0.0): MODEL_FAILED")
    missing = replace(SHOP, samples=((30.0, None, "red"),))
    fault = pmml_verdict(linear("age", "Basket total"), AGE, TOTAL, data_type=missing)
    assert_failed(fault, "sample 1 (age=30.0, basket_total=None): MISSING_FEATURE")


def graph(build: Callable[[Any], Any]) -> bytes:
    with tf.Graph().as_default() as target:
        tf.identity(build(tf.compat.v1.placeholder(tf.float32, (None, 2), name="x")), name="result")
        data: bytes = target.as_graph_def().SerializeToString()
        return data


def graph_verdict(build: Callable[[Any], Any], **more: Any) -> ModelRejected | None:
    return verdict(graph(build), ModelType.TENSORFLOW, PAIR, **more)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda x: x / (x - x), id="infinite"),
        pytest.param(lambda x: (x - x) / (x - x), id="NaN"),
        pytest.param(lambda x: 1.0 / (x - 1.0), id="infinite at 1 alone"),
        pytest.param(lambda x: tf.exp(x * 50.0), id="overflow"),
    ],
)
def test_graph_that_divides_by_zero(build: Callable[[Any], Any]) -> None:
    assert graph_verdict(lambda x: x / 2.0) is None
    assert_failed(graph_verdict(build), "not finite")


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(tf.reduce_sum, id="a number for all rows"),
        pytest.param(lambda x: tf.reduce_mean(x, axis=0, keepdims=True), id="a row for all rows"),
        pytest.param(lambda x: tf.matmul(x, x, transpose_b=True), id="as wide as there are rows"),
        pytest.param(lambda x: tf.concat([x, x], axis=0), id="twice the rows"),
        pytest.param(lambda x: tf.reshape(x, (-1, 2, 1)), id="a matrix for each row"),
        pytest.param(lambda x: x[:, :0], id="an empty vector for each row"),
    ],
)
def test_graph_of_wrong_output_width(build: Callable[[Any], Any]) -> None:
    assert_failed(graph_verdict(build), "output")


def test_graph_with_other_labels_than_outputs() -> None:
    data = graph(lambda x: x)
    for labels, passes in ((["x", "y"], True), (["x"], False), (["x", "y", "z"], False)):
        descriptor = ModelDescriptor(name="m", modeltype=ModelType.TENSORFLOW, data=data, labels=labels)
        if passes:
            gate.check(descriptor, PAIR, GateLimits())
        else:
            with pytest.raises(ModelRejected, match=f"FAILED_GATE: {len(labels)} labels for an output of width 2"):
                gate.check(descriptor, PAIR, GateLimits())


def looping(times: int) -> Callable[[Any], Any]:
    def build(x: Any) -> Any:
        last = tf.while_loop(lambda i, _: i < times, lambda i, y: (i + 1, tf.sin(y)), (tf.constant(0), x))
        return last[1]

    return build


def test_graph_that_is_slower_than_the_limit() -> None:
    assert graph_verdict(looping(2)) is None
    fault = graph_verdict(looping(20_000), limits=GateLimits(probe_s=0.001))
    assert_failed(fault, "longer than 0.001 s to answer the probe")


KINDS = {".pmml": ModelType.PMML, ".pb": ModelType.TENSORFLOW, ".zip": ModelType.TENSORFLOWSAVED}


@pytest.mark.parametrize(
    "path", sorted(path for path in (EXAMPLE / "models").iterdir() if path.suffix in KINDS), ids=lambda path: path.name
)
def test_the_example_models_pass(path: Path) -> None:
    assert verdict(path.read_bytes(), KINDS[path.suffix], WINE) is None


def test_a_string_feature_that_the_model_does_not_read(loads: Callable[[Any], None]) -> None:
    seen: list[Sequence[str]] = []

    def answer(batch: pa.RecordBatch) -> Scores:
        seen.append(batch.schema.names)
        return ones(batch)

    loads(Answering(answer, inputs=("a",)))
    check(DataType("three", (Feature("a"), Feature("word", FeatureKind.STRING))))
    assert seen[0] == ["a", "word"]
