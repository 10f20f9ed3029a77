"""PMML documents in the form that tools write, over the fields of `pmml_random.py`: what is in them is small."""

from __future__ import annotations

from tests.runtimes.pmml_random import document
from tests.runtimes.pmml_random_fields import CLASSES

_TYPES = {
    "a": 'optype="continuous" dataType="double"',
    "b": 'optype="continuous" dataType="double"',
    "f": 'optype="continuous" dataType="float"',
    "n": 'optype="continuous" dataType="integer"',
    "c": 'optype="categorical" dataType="string"',
}


def _document(model: str, inputs: str, target: str = "", before: str = "") -> bytes:
    fields = "".join(f'<DataField name="{name}" {_TYPES[name]}/>' for name in inputs)
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f"<DataDictionary>{target}{fields}</DataDictionary>{before}{model}</PMML>"
    ).encode()


def _classes(*names: str, data_type: str = "string") -> str:
    values = "".join(f'<Value value="{name}"/>' for name in names)
    return f'<DataField name="y" optype="categorical" dataType="{data_type}">{values}</DataField>'


_NUMBER = '<DataField name="y" optype="continuous" dataType="double"/>'


def _schema(*names: str, target: bool = False) -> str:
    own = '<MiningField name="y" usageType="target"/>' if target else ""
    return f"<MiningSchema>{own}{''.join(f'<MiningField name={name!r}/>' for name in names)}</MiningSchema>"


def _clusters(
    attributes: str, inner: str, fields: str, centers: dict[str, str], measure: str = "<squaredEuclidean/>"
) -> str:
    own = "".join(f"<Cluster {names}><Array n='2' type='real'>{at}</Array></Cluster>" for names, at in centers.items())
    return (
        f'<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="{len(centers)}" '
        f'{attributes}>{inner}<ComparisonMeasure kind="distance">{measure}</ComparisonMeasure>{fields}{own}'
        "</ClusteringModel>"
    )


def _center_fields(*names: str) -> str:
    return "".join(f'<ClusteringField field="{name}" compareFunction="absDiff"/>' for name in names)


def _scikit_learn_clusters() -> bytes:
    scaled = "".join(
        f'<DerivedField name="standardScaler({name})" optype="continuous" dataType="double"><Apply function="/">'
        f'<Apply function="-"><FieldRef field="{name}"/><Constant dataType="double">{mean}</Constant></Apply>'
        f'<Constant dataType="double">{deviation}</Constant></Apply></DerivedField>'
        for name, mean, deviation in (("a", 0.75, 1.25), ("b", 1.1, 0.9))
    )
    output = (
        '<Output><OutputField name="cluster" optype="categorical" dataType="string" feature="predictedValue"/>'
        '<OutputField name="affinity(0)" optype="continuous" dataType="double" feature="affinity" value="0"/></Output>'
    )
    return _document(
        _clusters(
            'algorithmName="sklearn.cluster._kmeans.KMeans"',
            f"{_schema('a', 'b')}{output}<LocalTransformations>{scaled}</LocalTransformations>",
            '<ClusteringField field="standardScaler(a)"/><ClusteringField field="standardScaler(b)"/>',
            {"id='0' size='9'": "-1.2 0.1", "id='1' size='7'": "0.4 -0.7", "id='2' size='8'": "0.9 1.3"},
        ),
        "ab",
    )


def _r_clusters() -> bytes:
    affinities = "".join(
        f'<OutputField name="clusterAffinity_{index}" optype="continuous" dataType="double" '
        f'feature="clusterAffinity" value="{index}"/>'
        for index in (1, 2, 3)
    )
    output = '<OutputField name="predictedValue" optype="categorical" dataType="string" feature="predictedValue"/>'
    return _document(
        _clusters(
            'modelName="KMeans_Model" algorithmName="KMeans: Hartigan and Wong"',
            f"{_schema('a', 'b')}<Output>{output}{affinities}</Output>",
            _center_fields("a", "b"),
            {
                "name='1' size='50' id='1'": "-0.5 1.5",
                "name='2' size='62' id='2'": "2 1",
                "name='3' size='38' id='3'": "1 0",
            },
        ),
        "ab",
    )


def _spark_clusters() -> bytes:
    return _document(
        _clusters(
            'modelName="k-means"',
            _schema("a", "n"),
            _center_fields("a", "n"),
            {"name='cluster_0'": "0.25 -1", "name='cluster_1'": "1.5 2"},
        ),
        "an",
    )


def _knime_clusters() -> bytes:
    normal = "".join(
        f'<DerivedField name="{name}*" displayName="{name}" optype="continuous" dataType="double">'
        f'<NormContinuous field="{name}"><LinearNorm orig="-1.5" norm="0"/><LinearNorm orig="3" norm="1"/>'
        "</NormContinuous></DerivedField>"
        for name in "af"
    )
    return _document(
        _clusters(
            'modelName="k-means"',
            f"{_schema('a', 'f')}<LocalTransformations>{normal}</LocalTransformations>",
            _center_fields("a*", "f*"),
            {
                "name='cluster_0' size='3'": "0.1 0.5",
                "name='cluster_1' size='4'": "0.7 0.2",
                "name='cluster_2' size='4'": "0.6 0.9",
            },
            "<euclidean/>",
        ),
        "af",
    )


def _node(name: str, score: str, default: str, predicate: str, *children: str) -> str:
    attribute = f' defaultChild="{default}"' if default else ""
    return f'<Node id="{name}" score="{score}"{attribute}>{predicate}{"".join(children)}</Node>'


def _at(field: str, operator: str, value: object) -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


def _boosted_tree(index: int, attributes: str, fields: tuple[str, ...], categories: bool = False) -> str:
    """A tree of binary splits, with a default child at each."""
    step = 0.1 + 0.07 * index
    third = (
        '<SimpleSetPredicate field="c" booleanOperator="isIn"><Array type="string">"red" "light green"</Array>'
        "</SimpleSetPredicate>"
        if categories
        else _at("b", "lessThan", 0.3 + step)
    )
    fourth = third.replace('"isIn"', '"isNotIn"') if categories else _at("b", "greaterOrEqual", 0.3 + step)
    nodes = _node(
        "1",
        "0",
        "3" if index % 2 else "2",
        "<True/>",
        _node(
            "2",
            str(step / 3),
            "5",
            _at("a", "lessThan", 1 - step),
            _node("4", str(-step / 7), "", third),
            _node("5", str(step * 1.7), "", fourth),
        ),
        _node(
            "3",
            str(-step),
            "6",
            _at("a", "greaterOrEqual", 1 - step),
            _node("6", str(step / 11), "", _at("f", "lessThan", 1.7)),
            _node("7", str(-step / 13), "", _at("f", "greaterOrEqual", 1.7)),
        ),
    )
    return f'<TreeModel functionName="regression" {attributes}>{_schema(*fields)}{nodes}</TreeModel>'


def _compact_tree(index: int, attributes: str, fields: tuple[str, ...]) -> str:
    """A tree as the converters compact it: what no child takes ends at the node itself."""
    step = 0.1 + 0.07 * index
    nodes = _node(
        "1",
        str(step / 3),
        "",
        "<True/>",
        _node(
            "2",
            str(-step / 7),
            "",
            _at("a", "greaterThan", 1 - step),
            _node("3", "0.3", "", _at("b", "lessOrEqual", 0.3)),
        ),
        _node(
            "4",
            str(step / 9),
            "",
            f'<CompoundPredicate booleanOperator="surrogate">{_at("f", "lessOrEqual", 1.7)}<False/>'
            "</CompoundPredicate>",
        ),
    )
    return f'<TreeModel functionName="regression" {attributes}>{_schema(*fields)}{nodes}</TreeModel>'


def _sum(trees: list[str], context: str, fields: tuple[str, ...], inner: str = "", treatment: str = "") -> str:
    segments = "".join(f'<Segment id="{index}"><True/>{tree}</Segment>' for index, tree in enumerate(trees, 1))
    return (
        f'<MiningModel functionName="regression" {context}>{_schema(*fields)}{inner}'
        f'<Segmentation multipleModelMethod="sum" {treatment}>{segments}</Segmentation></MiningModel>'
    )


def _chain(links: list[str], last: str, context: str, fields: tuple[str, ...], treatment: str) -> str:
    segments = "".join(f'<Segment id="{index}"><True/>{link}</Segment>' for index, link in enumerate([*links, last], 1))
    function = last.split('functionName="')[1].split('"', maxsplit=1)[0]
    return (
        f'<MiningModel functionName="{function}" {context}>{_schema(*fields, target=True)}'
        f'<Segmentation multipleModelMethod="modelChain" {treatment}>{segments}</Segmentation></MiningModel>'
    )


def _softmax(names: list[str], labels: tuple[str, ...], method: str, context: str = "") -> str:
    output = "".join(
        f'<OutputField name="probability({label})" optype="continuous" dataType="double" feature="probability" '
        f'value="{label}"/>'
        for label in labels
    )
    tables = "".join(
        f'<RegressionTable intercept="0" targetCategory="{label}">'
        + (f'<NumericPredictor name="{names[index]}" coefficient="1"/>' if index < len(names) else "")
        + "</RegressionTable>"
        for index, label in enumerate(labels)
    )
    return (
        f'<RegressionModel functionName="classification" normalizationMethod="{method}" {context}>'
        f"{_schema(*names, target=True)}<Output>{output}</Output>{tables}</RegressionModel>"
    )


def _value(name: str, data_type: str) -> str:
    return (
        f'<Output><OutputField name="{name}" optype="continuous" dataType="{data_type}" feature="predictedValue" '
        'isFinalResult="false"/></Output>'
    )


_FLOAT = 'x-mathContext="float"'
_DEFAULT = 'missingValueStrategy="defaultChild" splitCharacteristic="binarySplit" noTrueChildStrategy="{}"'
_RETURN = 'missingPredictionTreatment="returnMissing"'


def _xgboost_binary() -> bytes:
    fields = ("a", "b", "f")
    attributes = f"{_DEFAULT.format('returnNullPrediction')} {_FLOAT}"
    trees = [_boosted_tree(index, attributes, fields) for index in range(7)]
    targets = '<Targets><Target rescaleConstant="-0.4054651"/></Targets>'
    link = _sum(trees, _FLOAT, fields, _value("xgbValue", "float") + targets, _RETURN)
    last = _softmax(["xgbValue"], ("1", "0"), "logit", _FLOAT)
    return _document(
        _chain([link], last, f'algorithmName="XGBoost (GBTree)" {_FLOAT}', fields, _RETURN),
        "abf",
        _classes("0", "1", data_type="integer"),
    )


def _xgboost_multinomial() -> bytes:
    fields = ("a", "b", "f", "c")
    attributes = f"{_DEFAULT.format('returnNullPrediction')} {_FLOAT}"
    names, links = [], []
    for index, label in enumerate(CLASSES):
        names.append(f"xgbValue({label})")
        trees = [_boosted_tree(index + 3 * each, attributes, fields, each % 2 == 1) for each in range(4)]
        links.append(_sum(trees, _FLOAT, fields, _value(names[-1], "float")))
    return _document(
        _chain(links, _softmax(names, CLASSES, "softmax", _FLOAT), _FLOAT, fields, ""), "abfc", _classes(*CLASSES)
    )


def _xgboost_regression() -> bytes:
    """The sum itself answers, and has a constant added; the trees are compacted."""
    fields = ("a", "b", "f")
    attributes = f'missingValueStrategy="none" noTrueChildStrategy="returnLastPrediction" {_FLOAT}'
    trees = [_compact_tree(index, attributes, fields) for index in range(9)]
    model = _sum(trees, f'algorithmName="XGBoost (GBTree)" {_FLOAT}', fields, "", _RETURN)
    targets = '<Targets><Target field="y" rescaleFactor="1.1" rescaleConstant="0.3"/></Targets>'
    model = model.replace("<MiningSchema>", '<MiningSchema><MiningField name="y" usageType="target"/>', 1)
    return _document(model.replace("</MiningSchema>", f"</MiningSchema>{targets}", 1), "abf", _NUMBER)


def _lightgbm_binary() -> bytes:
    fields = ("a", "b", "f", "c")
    trees = [
        _boosted_tree(index, _DEFAULT.format("returnLastPrediction"), fields, index % 2 == 1) for index in range(6)
    ]
    link = _sum(trees, "", fields, _value("lgbmValue", "double"), _RETURN)
    return _document(
        _chain([link], _softmax(["lgbmValue"], ("1", "0"), "logit"), 'algorithmName="LightGBM"', fields, _RETURN),
        "abfc",
        _classes("0", "1", data_type="integer"),
    )


def _lightgbm_poisson() -> bytes:
    """A chain whose last link is a regression through a link function."""
    fields = ("a", "b", "f", "c")
    trees = [_boosted_tree(index, _DEFAULT.format("returnLastPrediction"), fields, True) for index in range(5)]
    last = (
        f'<RegressionModel functionName="regression" normalizationMethod="exp">{_schema("lgbmValue", target=True)}'
        '<RegressionTable intercept="0"><NumericPredictor name="lgbmValue" coefficient="1"/></RegressionTable>'
        "</RegressionModel>"
    )
    link = _sum(trees, "", fields, _value("lgbmValue", "double"), _RETURN)
    return _document(_chain([link], last, "", fields, _RETURN), "abfc", _NUMBER)


def _scikit_learn_boosting() -> bytes:
    """Float copies of the fields, a learning rate and an initial value as targets, a whole number for the answer."""
    fields = ("a", "b", "f")
    copies = "".join(
        f'<DerivedField name="float({name})" optype="continuous" dataType="float"><FieldRef field="{name}"/>'
        "</DerivedField>"
        for name in fields
    )
    trees = [
        _boosted_tree(index, "", ("float(a)", "float(b)", "f"))
        .replace('field="a"', 'field="float(a)"')
        .replace('field="b"', 'field="float(b)"')
        for index in range(5)
    ]
    model = _sum(trees, 'algorithmName="sklearn.ensemble._gb.GradientBoostingRegressor"', fields)
    targets = '<Targets><Target field="y" rescaleFactor="7.5" rescaleConstant="2.25" castInteger="round"/></Targets>'
    model = model.replace("<MiningSchema>", '<MiningSchema><MiningField name="y" usageType="target"/>', 1)
    inner = f"</MiningSchema>{targets}<LocalTransformations>{copies}</LocalTransformations>"
    return _document(model.replace("</MiningSchema>", inner, 1), "abf", _NUMBER)


def _scikit_learn_chain() -> bytes:
    """What a link predicts, transformed by an Output, is the input of the last one."""
    fields = ("a", "b")
    linear = (
        f'<RegressionModel functionName="regression">{_schema(*fields)}<Output>'
        '<OutputField name="raw" optype="continuous" dataType="double" feature="predictedValue" isFinalResult="false"/>'
        '<OutputField name="platt" optype="continuous" dataType="double" feature="transformedValue">'
        '<Apply function="*"><Constant dataType="double">-2.5</Constant><Apply function="+"><FieldRef field="raw"/>'
        '<Constant dataType="double">0.125</Constant></Apply></Apply></OutputField></Output>'
        '<RegressionTable intercept="-0.3"><NumericPredictor name="a" coefficient="0.7"/>'
        '<NumericPredictor name="b" coefficient="-0.2"/></RegressionTable></RegressionModel>'
    )
    return _document(
        _chain([linear], _softmax(["platt"], ("yes", "no"), "logit"), "", fields, ""), "ab", _classes("no", "yes")
    )


def _spark_forest() -> bytes:
    """Trees that average their probabilities, of a field with the values in the dictionary."""
    fields = ("a", "c")

    def leaf(name: str, predicate: str, yes: float) -> str:
        return (
            f'<Node id="{name}" score="{"yes" if yes > 5 else "no"}">{predicate}'
            f'<ScoreDistribution value="yes" recordCount="{yes}"/>'
            f'<ScoreDistribution value="no" recordCount="{10 - yes}"/></Node>'
        )

    def tree(value: float) -> str:
        return (
            '<TreeModel functionName="classification" missingValueStrategy="nullPrediction" '
            f'splitCharacteristic="binarySplit">{_schema(*fields)}<Node id="1"><True/>'
            + leaf("2", _at("a", "lessOrEqual", value), 10 * value / 4)
            + leaf("3", _at("a", "greaterThan", value), 7)
            + "</Node></TreeModel>"
        )

    segments = "".join(f"<Segment><True/>{tree(value)}</Segment>" for value in (0.3, 1.0, 1.7))
    output = "".join(
        f'<OutputField name="probability({label})" optype="continuous" dataType="double" feature="probability" '
        f'value="{label}"/>'
        for label in ("no", "yes")
    )
    return _document(
        f'<MiningModel functionName="classification">{_schema(*fields, target=True)}<Output>{output}</Output>'
        f'<Segmentation multipleModelMethod="average" {_RETURN}>{segments}</Segmentation></MiningModel>',
        "ac",
        _classes("no", "yes"),
    )


EXPORTS = {
    "scikit-learn k-means": _scikit_learn_clusters(),
    "R k-means": _r_clusters(),
    "Spark k-means": _spark_clusters(),
    "KNIME k-means": _knime_clusters(),
    "XGBoost binary": _xgboost_binary(),
    "XGBoost multinomial": _xgboost_multinomial(),
    "XGBoost regression": _xgboost_regression(),
    "LightGBM binary": _lightgbm_binary(),
    "LightGBM Poisson": _lightgbm_poisson(),
    "scikit-learn boosting": _scikit_learn_boosting(),
    "scikit-learn chain": _scikit_learn_chain(),
    "Spark forest": _spark_forest(),
}


def compared(kind: str, seed: int) -> bytes:
    """The document of an export, or the random one."""
    return EXPORTS[kind] if kind in EXPORTS else document(seed, kind)
