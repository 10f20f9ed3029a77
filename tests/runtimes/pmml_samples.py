"""Small PMML documents for the tests, and the data types of the records that they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

SHOP = DataType(
    "shop",
    (
        Feature("age", optional=True),
        Feature("basket_total", optional=True),
        Feature("colour", FeatureKind.STRING, optional=True),
    ),
)

AGE = '<DataField name="age" optype="continuous" dataType="double"/>'
TOTAL = '<DataField name="Basket total" optype="continuous" dataType="double"/>'
COLOUR = (
    '<DataField name="colour" optype="categorical" dataType="string">'
    '<Value value="red"/><Value value="blue"/></DataField>'
)
CHOICE = (
    '<DataField name="choice" optype="categorical" dataType="string">'
    '<Value value="yes"/><Value value="no"/><Value value="never"/></DataField>'
)
AMOUNT = '<DataField name="amount" optype="continuous" dataType="double"/>'


def document(model: str, *fields: str) -> bytes:
    """A document with the data fields `fields`."""
    head = '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>'
    return f"{head}{''.join(fields)}</DataDictionary>{model}</PMML>".encode()


def schema(target: str, *fields: str) -> str:
    """A mining schema; a field is a name, or a name with attributes: `age" outliers="asIs`."""
    active = "".join(f'<MiningField name="{field}"/>' for field in fields)
    return f'<MiningSchema><MiningField name="{target}" usageType="target"/>{active}</MiningSchema>'


def linear(*fields: str) -> str:
    """Regression: amount = 1 + 2 age + 0.5 total (of the fields given)."""
    names = {field.split('"')[0] for field in fields}
    terms = ""
    if "age" in names:
        terms += '<NumericPredictor name="age" coefficient="2"/>'
    if "Basket total" in names:
        terms += '<NumericPredictor name="Basket total" coefficient="0.5"/>'
    if "colour" in names:
        terms += '<CategoricalPredictor name="colour" value="red" coefficient="100"/>'
        terms += '<CategoricalPredictor name="colour" value="blue" coefficient="10"/>'
    return (
        f'<RegressionModel functionName="regression">{schema("amount", *fields)}'
        f'<RegressionTable intercept="1">{terms}</RegressionTable></RegressionModel>'
    )


def stump(low: str, high: str, *fields: str, attributes: str = "") -> str:
    """Tree: age up to 30 gets the content `low`, above the content `high` (of the two nodes)."""
    return (
        f'<TreeModel functionName="classification" {attributes}>{schema("choice", *fields)}'
        '<Node id="0" score="yes" recordCount="10" defaultChild="2"><True/>'
        '<ScoreDistribution value="yes" recordCount="6"/><ScoreDistribution value="no" recordCount="4"/>'
        f'<Node id="1" {low[0 : low.index(">") + 1]}<SimplePredicate field="age" operator="lessOrEqual" value="30"/>'
        f"{low[low.index('>') + 1 :]}</Node>"
        f'<Node id="2" {high[0 : high.index(">") + 1]}<SimplePredicate field="age" operator="greaterThan" value="30"/>'
        f"{high[high.index('>') + 1 :]}</Node>"
        "</Node></TreeModel>"
    )


LOW = 'score="yes"><ScoreDistribution value="yes" recordCount="3"/><ScoreDistribution value="no" recordCount="1"/>'
HIGH = 'score="no"><ScoreDistribution value="no" recordCount="5"/>'


def ensemble(method: str, models: Sequence[str], attributes: str = "", segment_attributes: Sequence[str] = ()) -> str:
    """A classification ensemble of segments that always apply."""
    extra = segment_attributes or [""] * len(models)
    segments = "".join(
        f'<Segment id="{index}" {extra[index]}><True/>{model}</Segment>' for index, model in enumerate(models)
    )
    return (
        f'<MiningModel functionName="classification">{schema("choice", "age")}'
        f'<Segmentation multipleModelMethod="{method}" {attributes}>{segments}</Segmentation></MiningModel>'
    )


def constant(score: str) -> str:
    """A tree that always predicts `score`."""
    return (
        f'<TreeModel functionName="classification">{schema("choice", "age")}'
        f'<Node score="{score}"><True/></Node></TreeModel>'
    )


def descriptor(data: bytes, **fields: Any) -> ModelDescriptor:
    """A complete PMML descriptor."""
    return ModelDescriptor(name="sample", dataType="shop", modeltype=ModelType.PMML, data=data, **fields)


def shop_batch(
    age: Sequence[float | None], total: Sequence[float | None] | None = None, colour: Sequence[str | None] | None = None
) -> pa.RecordBatch:
    """A batch of shop records."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array(age, pa.float64()),
            pa.array(total or [1.0] * len(age), pa.float64()),
            pa.array(colour or ["red"] * len(age), pa.string()),
        ],
        names=list(SHOP.feature_names),
    )
