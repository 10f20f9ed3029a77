"""Output fields of a document that no result carries are named; results are as without them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from modelserving.runtimes import pmml
from modelserving.runtimes.pmml import load
from modelserving.runtimes.pmml_agreement import Comparison
from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_outputs import final_field, left_out
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine
from tests.runtimes.pmml_samples import (
    AGE,
    AMOUNT,
    CHOICE,
    HIGH,
    LOW,
    SHOP,
    constant,
    descriptor,
    document,
    ensemble,
    linear,
    shop_batch,
    stump,
)

TWICE = '<Apply function="*"><FieldRef field="out"/><Constant dataType="double">2</Constant></Apply>'


def output(*fields: str) -> str:
    inner = "".join(f'<OutputField optype="continuous" dataType="double" {each}</OutputField>' for each in fields)
    return f"<Output>{inner}</Output>"


def with_output(model: str, *fields: str) -> str:
    return model.replace("</MiningSchema>", f"</MiningSchema>{output(*fields)}", 1)


def named(model: str, *fields: str) -> str:
    return left_out(parse(document(with_output(model, *fields), AMOUNT, CHOICE, AGE)))


def test_no_output_leaves_nothing_out() -> None:
    assert left_out(parse(document(linear("age"), AMOUNT, AGE))) == ""


@pytest.mark.parametrize(
    "field",
    [
        'name="out">',
        'name="out" feature="predictedValue">',
        'name="out" feature="probability">',
        'name="out" feature="probability" value="yes">',
        'name="out" feature="transformedValue" isFinalResult="false">' + TWICE,
    ],
)
def test_what_a_result_carries(field: str) -> None:
    assert named(stump(LOW, HIGH, "age"), field) == ""


@pytest.mark.parametrize(
    "field",
    [
        'name="out" feature="transformedValue">' + TWICE,
        'name="out">' + TWICE,
        'name="out" feature="decision">' + TWICE,
        'name="out" feature="entityId">',
        'name="out" feature="confidence">',
        'name="out" feature="predictedDisplayValue">',
        'name="out" feature="probability" value="nobody">',
        'name="out" feature="predictedValue" segmentId="1">',
        'name="out" feature="predictedValue" rank="2">',
    ],
)
def test_what_no_result_carries(field: str) -> None:
    assert named(stump(LOW, HIGH, "age"), field) == "the document's output fields 'out' are left out"


def test_the_cluster_of_a_clustering_is_its_label() -> None:
    model = (
        '<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="1"><MiningSchema>'
        '<MiningField name="age"/></MiningSchema><Cluster id="x"><Array n="1" type="real">1</Array></Cluster>'
        "</ClusteringModel>"
    )
    fields = ('name="own" feature="clusterId">', 'name="entity" feature="entityId">', 'name="far" feature="affinity">')
    assert named(model, *fields) == "the document's output fields 'far' are left out"


def test_outputs_of_nested_models_are_their_own_matter() -> None:
    nested = with_output(constant("yes"), 'name="out" feature="entityId">')
    assert left_out(parse(document(ensemble("majorityVote", [nested]), CHOICE, AGE))) == ""


def test_of_many_only_some_are_named() -> None:
    told = named(linear("age"), *(f'name="o{index}" feature="residual">' for index in range(11)))
    assert (
        told
        == f"the document's output fields {', '.join(repr(f'o{index}') for index in range(8))} and 3 more are left out"
    )


class Other:
    """Stands for PMML4S, without Java."""

    engine = "PMML4S"

    def __init__(self, *given: Any) -> None:
        self.engine_reason = str(given[-1])

    def score(self, batch: Any) -> None:
        pass

    def close(self) -> None:
        pass


MODEL = descriptor(document(with_output(linear("age"), 'name="out">', 'name="twice">' + TWICE), AMOUNT, AGE))
TOLD = "the document's output fields 'twice' are left out"


@pytest.mark.parametrize(
    ("difference", "engine", "reason"),
    [
        (None, VectorisedServable.engine, "it answers generated records as PMML4S does"),
        ("1 where 2", "PMML4S", "the vectorised evaluator answers differently: 1 where 2"),
    ],
)
def test_the_reason_of_the_engine_tells_which_fields_are_left_out(
    difference: str | None, engine: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pmml, "PmmlServable", Other)
    monkeypatch.setattr(pmml, "compare", lambda *_, **__: Comparison(difference, 0, 0))
    servable = load(MODEL, SHOP)
    assert (servable.engine, servable.engine_reason) == (engine, f"{reason}; {TOLD}")
    # told once, by whom it was first told
    again = load(MODEL, SHOP, Engine(name=engine, reason=servable.engine_reason))
    assert again.engine_reason == servable.engine_reason


def test_results_are_as_without_an_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml, "PmmlServable", Other)
    monkeypatch.setattr(pmml, "compare", lambda *_, **__: Comparison(None, 0, 0))
    plain = load(descriptor(document(linear("age"), AMOUNT, AGE)), SHOP)
    assert ";" not in plain.engine_reason
    for servable in (plain, load(MODEL, SHOP)):
        numbers = servable.score(shop_batch([1.0, 2.5])).numbers
        assert numbers is not None
        assert numbers.tolist() == [3.0, 6.0]


EXP = '<Apply function="exp"><FieldRef field="raw"/></Apply>'
RAW = 'name="raw" isFinalResult="false">'
TURNED_BACK = document(with_output(linear("age"), RAW, 'name="out" feature="transformedValue">' + EXP), AMOUNT, AGE)


@pytest.mark.parametrize("engine", ["PMML4S", VectorisedServable.engine])
def test_the_only_final_number_is_the_answer(engine: str) -> None:
    servable = load(descriptor(TURNED_BACK), SHOP, Engine(name=engine))
    scores = servable.score(shop_batch([-1.0, None, 0.5]))
    assert scores.numbers is not None
    assert scores.numbers[[0, 2]].tolist() == pytest.approx([math.exp(-1.0), math.exp(2.0)], rel=1e-12)
    assert [(failure.row, failure.reason) for failure in scores.failures] == [(1, Reason.MISSING_FEATURE)]
    servable.close()


def test_both_engines_agree_on_it_and_nothing_is_left_out() -> None:
    servable = load(descriptor(TURNED_BACK), SHOP)
    assert servable.engine == VectorisedServable.engine
    assert servable.engine_reason.startswith("it answers generated records as PMML4S does")
    assert "left out" not in servable.engine_reason
    servable.close()


@pytest.mark.parametrize(
    "fields",
    [
        ('name="raw">', 'name="out" feature="transformedValue">' + EXP),
        ('name="out" feature="transformedValue"><FieldRef field="age"/>',),
        (RAW, 'name="out" feature="transformedValue">' + EXP, 'name="more" feature="transformedValue">' + EXP),
        (RAW, 'name="out" feature="decision">' + EXP),
    ],
    ids=["the prediction is final too", "no prediction", "two of them", "a decision"],
)
def test_other_fields_take_no_answers_place(fields: tuple[str, ...]) -> None:
    assert final_field(parse(document(with_output(linear("age"), *fields), AMOUNT, AGE))) == ""


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("why; the document's output fields 'out' are left out", "why"),
        ("the document's output fields 'out' are left out", ""),
        ("why", "why"),
    ],
)
def test_what_an_earlier_release_told_of_outputs_is_told_anew(before: str, now: str) -> None:
    servable = load(descriptor(TURNED_BACK), SHOP, Engine(name="PMML4S", reason=before))
    assert servable.engine_reason == now
    servable.close()
