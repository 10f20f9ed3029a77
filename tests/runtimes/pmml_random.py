"""Random PMML documents and records, to compare evaluators on: every predicate, strategy and method, by chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pyarrow as pa

from modelserving.data_types import DataType, Feature, FeatureKind
from tests.runtimes.pmml_random_clusters import clusters
from tests.runtimes.pmml_random_fields import CLASSES, COLOURS, GRID, NUMBERS, schema, targets
from tests.runtimes.pmml_random_tables import tables
from tests.runtimes.pmml_random_terms import derived, general, naive_bayes, network, regression, support_vectors
from tests.runtimes.pmml_random_trees import predicate, tree

MIXED = DataType(
    "mixed",
    (*(Feature(name, optional=True) for name in NUMBERS), Feature("c", FeatureKind.STRING, optional=True)),
)

Record = dict[str, float | str | None]

_WITHOUT_PROBABILITIES = ("tree of labels", "support vectors")
_PROBABILITIES = (
    "<Output>"
    + "".join(
        f'<OutputField name="p{name}" optype="continuous" dataType="double" feature="probability" value="{name}"/>'
        for name in CLASSES
    )
    + "</Output>"
)
_FIELDS = (
    '<DataField name="a" optype="continuous" dataType="double"/>'
    '<DataField name="b" optype="continuous" dataType="double"/>'
    '<DataField name="f" optype="continuous" dataType="float"/>'
    '<DataField name="n" optype="continuous" dataType="integer"/>'
    '<DataField name="c" optype="categorical" dataType="string"/>'
    '<DataField name="number" optype="continuous" dataType="double"/>'
    '<DataField name="class" optype="categorical" dataType="string">'
    + "".join(f'<Value value="{name}"/>' for name in CLASSES)
    + "</DataField>"
)


def document(seed: int, kind: str) -> bytes:
    """A document whose model is of one of `KINDS`, the same for the same seed."""
    chance = random.Random(f"{seed} {kind}")  # noqa: S311
    model = KINDS[kind](chance)
    if 'functionName="classification"' in model.split(">")[0] and kind not in _WITHOUT_PROBABILITIES:
        # only of a model that has them for outputs does JPMML tell probabilities
        model = model.replace("</MiningSchema>", f"</MiningSchema>{_PROBABILITIES}", 1)
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f"<DataDictionary>{_FIELDS}</DataDictionary>{model}</PMML>"
    ).encode()


def records(seed: int, count: int) -> list[Record]:
    """Records with values at, between and beside those that documents name, and missing ones."""
    chance = random.Random(seed)  # noqa: S311

    def number() -> float | None:
        if chance.random() < 0.15:
            return None
        return chance.choice(GRID) if chance.random() < 0.6 else round(chance.uniform(-2, 4), 3)

    def whole() -> float | None:
        return None if chance.random() < 0.15 else float(chance.randint(-2, 4))

    def colour() -> str | None:
        return None if chance.random() < 0.15 else chance.choice((*COLOURS, "black"))

    return [{"a": number(), "b": number(), "f": number(), "n": whole(), "c": colour()} for _ in range(count)]


def batch(given: Sequence[Record]) -> pa.RecordBatch:
    """The records as a batch of the data type `MIXED`."""
    columns = [pa.array([each[name] for each in given], pa.float64()) for name in NUMBERS]
    colours = pa.array([each["c"] for each in given], pa.string())
    return pa.RecordBatch.from_arrays([*columns, colours], names=[*NUMBERS, "c"])


def _ensemble(
    chance: random.Random, classes: bool, models: Sequence[str], methods: Sequence[str], conditional: bool
) -> str:
    function, name = ("classification", "class") if classes else ("regression", "number")
    treatment = chance.choice(("continue", "continue", "skipSegment", "returnMissing"))
    segments = "".join(
        f'<Segment weight="{chance.choice((0.5, 1, 2))}">'
        f"{predicate(chance) if conditional and chance.random() < 0.4 else '<True/>'}{model}</Segment>"
        for model in models
    )
    return (
        f'<MiningModel functionName="{function}">{schema(name)}{targets(chance, classes)}'
        f'<Segmentation multipleModelMethod="{chance.choice(methods)}" missingPredictionTreatment="{treatment}" '
        f'missingThreshold="{chance.choice((0.3, 1))}">{segments}</Segmentation></MiningModel>'
    )


def _forest(chance: random.Random, classes: bool) -> str:
    count, depth = chance.choice(((3, 3), (8, 2), (5, 7)))
    methods = (
        ("majorityVote", "weightedMajorityVote", "average", "weightedAverage")
        if classes
        else ("average", "weightedAverage", "sum", "median")
    )
    models = [tree(chance, classes, target=False, depth=depth) for _ in range(count)]
    return _ensemble(chance, classes, models, methods, chance.random() < 0.3)


def _first(chance: random.Random) -> str:
    classes = chance.random() < 0.5
    models = [tree(chance, classes) if chance.random() < 0.5 else regression(chance, classes) for _ in range(3)]
    return _ensemble(chance, classes, models, ("selectFirst",), True)


def _mixed(chance: random.Random) -> str:
    models = [
        tree(chance, False, target=False) if chance.random() < 0.5 else regression(chance, False, target=False)
        for _ in range(4)
    ]
    return _ensemble(chance, False, models, ("average", "weightedAverage", "sum", "median"), True)


def _scorecard(chance: random.Random) -> str:
    def attribute(condition: str) -> str:
        if chance.random() < 0.3:
            score = '<ComplexPartialScore><Apply function="*"><Constant dataType="double">2</Constant>'
            score += '<FieldRef field="a"/></Apply></ComplexPartialScore>'
            return f"<Attribute>{condition}{score}</Attribute>"
        return f'<Attribute partialScore="{chance.randint(-5, 20)}">{condition}</Attribute>'

    characteristics = "".join(
        "<Characteristic>"
        + "".join(attribute(predicate(chance)) for _ in range(chance.randint(1, 3)))
        + (attribute("<True/>") if chance.random() < 0.7 else "")
        + "</Characteristic>"
        for _ in range(3)
    )
    return (
        f'<Scorecard functionName="regression" initialScore="{chance.randint(0, 5)}" useReasonCodes="false">'
        f"{schema('number')}{targets(chance, False)}<Characteristics>{characteristics}</Characteristics></Scorecard>"
    )


def _boosting(chance: random.Random) -> str:
    """A chain: sums of trees, then a softmax of them."""
    segments = []
    names = []
    for index in range(len(CLASSES)):
        trees = [tree(chance, False, target=False, depth=2, sure=True) for _ in range(4)]
        inner = "".join(f"<Segment><True/>{each}</Segment>" for each in trees)
        names.append(f"sum{index}")
        output = (
            f'<Output><OutputField name="raw{index}" optype="continuous" dataType="double" feature="predictedValue"/>'
            f'<OutputField name="sum{index}" optype="continuous" dataType="double" feature="transformedValue">'
            f'<Apply function="*"><FieldRef field="raw{index}"/><Constant dataType="double">0.1</Constant></Apply>'
            "</OutputField></Output>"
        )
        segments.append(
            f'<Segment><True/><MiningModel functionName="regression">{schema(None)}{output}'
            f'<Segmentation multipleModelMethod="sum">{inner}</Segmentation></MiningModel></Segment>'
        )
    tables = "".join(
        f'<RegressionTable intercept="0.1" targetCategory="{label}"><NumericPredictor name="{name}" coefficient="1"/>'
        "</RegressionTable>"
        for label, name in zip(CLASSES, names, strict=True)
    )
    fields = "".join(f'<MiningField name="{name}"/>' for name in names)
    last = (
        '<RegressionModel functionName="classification" normalizationMethod="softmax">'
        f'<MiningSchema><MiningField name="class" usageType="target"/>{fields}</MiningSchema>{tables}</RegressionModel>'
    )
    return (
        f'<MiningModel functionName="classification">{schema("class")}<Segmentation multipleModelMethod="modelChain">'
        f"{''.join(segments)}<Segment><True/>{last}</Segment></Segmentation></MiningModel>"
    )


KINDS: dict[str, Callable[[random.Random], str]] = {
    "tree without targets": lambda chance: tree(chance, False, rescaled=False),
    "regression tree": lambda chance: tree(chance, False),
    "classification tree": lambda chance: tree(chance, True),
    "tree of labels": lambda chance: tree(chance, True, distributions=False),
    "regression forest": lambda chance: _forest(chance, False),
    "classification forest": lambda chance: _forest(chance, True),
    "boosting": _boosting,
    "select first": _first,
    "mixed ensemble": _mixed,
    "regression": lambda chance: regression(chance, False),
    "classification": lambda chance: regression(chance, True),
    "general regression": general,
    "network": network,
    "scorecard": _scorecard,
    "naive Bayes": naive_bayes,
    "support vectors": support_vectors,
    "clusters": clusters,
    "derived fields": derived,
    "tables": tables,
}
