"""Random regressions, networks and derived fields for `pmml_random.py`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.runtimes.pmml_random_fields import CLASSES, COLOURS, GRID, NUMBERS, schema, targets


def regression(chance: random.Random, classes: bool, *, target: bool = True, inputs: Sequence[str] = NUMBERS) -> str:
    """A RegressionModel."""

    def table(category: str) -> str:
        terms = "".join(
            f'<NumericPredictor name="{name}" exponent="{chance.choice((1, 1, 2))}" '
            f'coefficient="{chance.uniform(-1, 1)}"/>'
            for name in inputs
            if chance.random() < 0.5
        )
        if inputs == NUMBERS:
            terms += "".join(
                f'<CategoricalPredictor name="c" value="{x}" coefficient="{chance.uniform(-1, 1)}"/>'
                for x in COLOURS[:2]
            )
            if chance.random() < 0.3:
                terms += (
                    f'<PredictorTerm coefficient="{chance.uniform(-1, 1)}">'
                    '<FieldRef field="a"/><FieldRef field="n"/></PredictorTerm>'
                )
        return f'<RegressionTable intercept="{chance.uniform(-1, 1)}" {category}>{terms}</RegressionTable>'

    if classes:
        method = chance.choice(("none", "softmax", "softmax"))
        function, name = "classification", "class"
        tables = "".join(table(f'targetCategory="{x}"') for x in chance.sample(CLASSES, 3))
    else:
        method = chance.choice(("none", "none", "exp", "logit", "softmax", "probit", "cloglog", "loglog", "cauchit"))
        function, name, tables = "regression", "number", table("")
    extra = () if inputs == NUMBERS else inputs
    return (
        f'<RegressionModel functionName="{function}" normalizationMethod="{method}">'
        f"{schema(name if target else None, *extra)}{targets(chance, classes)}{tables}</RegressionModel>"
    )


def general(chance: random.Random) -> str:
    """A GeneralRegressionModel."""
    classes = chance.random() < 0.5
    parameters, cells = ["p0"], []
    for name in NUMBERS:
        for _ in range(chance.randint(0, 2)):
            parameter = f"p{len(parameters)}"
            parameters.append(parameter)
            cells.append(
                f'<PPCell value="{chance.choice((1, 1, 2))}" predictorName="{name}" parameterName="{parameter}"/>'
            )
            if chance.random() < 0.3:
                cells.append(
                    f'<PPCell value="{chance.choice(COLOURS)}" predictorName="c" parameterName="{parameter}"/>'
                )
    for colour in COLOURS[:2]:
        parameter = f"p{len(parameters)}"
        parameters.append(parameter)
        cells.append(f'<PPCell value="{colour}" predictorName="c" parameterName="{parameter}"/>')
    if classes:
        attributes, function, name = 'modelType="multinomialLogistic"', "classification", "class"
        own = [
            f'<PCell targetCategory="{label}" parameterName="{each}" beta="{chance.uniform(-1, 1)}"/>'
            for label in chance.sample(CLASSES, 2)
            for each in parameters
        ]
        if chance.random() < 0.4:
            link = chance.choice(("logit", "probit", "cloglog", "loglog", "cauchit"))
            attributes = f'modelType="ordinalMultinomial" cumulativeLink="{link}"'
            own = [
                f'<PCell targetCategory="{label}" parameterName="p0" beta="{beta}"/>'
                for label, beta in zip(CLASSES[:2], (-0.5, 0.75), strict=True)
            ] + [f'<PCell parameterName="{each}" beta="{chance.uniform(-1, 1)}"/>' for each in parameters[1:]]
    else:
        link = chance.choice(("identity", "log", "logc", "logit", "probit", "cloglog", "loglog"))
        attributes = chance.choice(
            (
                f'modelType="generalizedLinear" linkFunction="{link}" offsetValue="0.5"',
                f'modelType="generalizedLinear" linkFunction="{link}" offsetVariable="a"',
                'modelType="generalizedLinear" linkFunction="power" linkParameter="0.5"',
                'modelType="generalizedLinear" linkFunction="negbin" distParameter="0.5"',
                'modelType="generalLinear"',
            )
        )
        function, name = "regression", "number"
        own = [f'<PCell parameterName="{each}" beta="{chance.uniform(-1, 1)}"/>' for each in parameters]
    return (
        f'<GeneralRegressionModel functionName="{function}" {attributes}>{schema(name)}{targets(chance, classes)}'
        f"<ParameterList>{''.join(f'<Parameter name={each!r}/>' for each in parameters)}</ParameterList>"
        '<FactorList><Predictor name="c"/></FactorList>'
        f"<CovariateList>{''.join(f'<Predictor name={each!r}/>' for each in NUMBERS)}</CovariateList>"
        f"<PPMatrix>{''.join(cells)}</PPMatrix><ParamMatrix>{''.join(own)}</ParamMatrix></GeneralRegressionModel>"
    )


def naive_bayes(chance: random.Random) -> str:
    """A NaiveBayesModel."""
    names = chance.sample(CLASSES, 3)

    def counts(least: int) -> str:
        return "".join(f'<TargetValueCount value="{name}" count="{chance.randint(least, 9)}"/>' for name in names)

    pairs = "".join(
        f'<PairCounts value="{colour}"><TargetValueCounts>{counts(0)}</TargetValueCounts></PairCounts>'
        for colour in COLOURS
    )
    inputs = f'<BayesInput fieldName="c">{pairs}</BayesInput>'
    for field in NUMBERS[: chance.randint(1, 4)]:
        stats = "".join(
            f'<TargetValueStat value="{name}"><GaussianDistribution mean="{chance.choice(GRID)}" '
            f'variance="{chance.uniform(0.05, 2)}"/></TargetValueStat>'
            for name in names
        )
        inputs += f'<BayesInput fieldName="{field}"><TargetValueStats>{stats}</TargetValueStats></BayesInput>'
    return (
        f'<NaiveBayesModel functionName="classification" threshold="{chance.choice((0.001, 0.05))}">{schema("class")}'
        f'<BayesInputs>{inputs}</BayesInputs><BayesOutput fieldName="class"><TargetValueCounts>{counts(1)}'
        "</TargetValueCounts></BayesOutput></NaiveBayesModel>"
    )


def support_vectors(chance: random.Random) -> str:
    """A SupportVectorMachineModel."""
    fields = '<FieldRef field="a"/><FieldRef field="b"/><CategoricalPredictor name="c" value="red" coefficient="1"/>'
    vectors = "".join(
        f'<VectorInstance id="{index}"><Array type="real" n="3">{chance.choice(GRID)} {chance.choice(GRID)} '
        f"{chance.randint(0, 1)}</Array></VectorInstance>"
        for index in range(4)
    ) + (
        '<VectorInstance id="4"><REAL-SparseArray n="3"><Indices>1 3</Indices><REAL-Entries>0.5 1</REAL-Entries>'
        "</REAL-SparseArray></VectorInstance>"
    )

    def machine(attributes: str) -> str:
        chosen = chance.sample(range(5), 3)
        coefficients = "".join(f'<Coefficient value="{chance.uniform(-1, 1)}"/>' for _ in chosen)
        return (
            f"<SupportVectorMachine {attributes}><SupportVectors>"
            + "".join(f'<SupportVector vectorId="{index}"/>' for index in chosen)
            + f'</SupportVectors><Coefficients absoluteValue="{chance.uniform(-1, 1)}">{coefficients}</Coefficients>'
            "</SupportVectorMachine>"
        )

    kernel = chance.choice(
        (
            "<LinearKernelType/>",
            '<PolynomialKernelType gamma="0.5" coef0="1" degree="2"/>',
            '<RadialBasisKernelType gamma="0.3"/>',
            '<SigmoidKernelType gamma="0.2" coef0="0.1"/>',
        )
    )
    function, name, rescaling = "classification", "class", ""
    draw = chance.random()
    if draw < 0.4:
        function, name, rescaling = "regression", "number", targets(chance, False)
        attributes, machines = "", machine("")
    elif draw < 0.7:
        attributes = 'classificationMethod="OneAgainstAll"'
        machines = "".join(machine(f'targetCategory="{label}"') for label in chance.sample(CLASSES, 3))
    else:
        attributes = 'classificationMethod="OneAgainstOne" threshold="0.1"'
        pairs = (("yes", "no"), ("yes", "never"), ("no", "never"))
        machines = "".join(machine(f'targetCategory="{one}" alternateTargetCategory="{two}"') for one, two in pairs)
    return (
        f'<SupportVectorMachineModel functionName="{function}" {attributes}>{schema(name)}{rescaling}{kernel}'
        f"<VectorDictionary><VectorFields>{fields}</VectorFields>{vectors}</VectorDictionary>{machines}"
        "</SupportVectorMachineModel>"
    )


def network(chance: random.Random) -> str:
    """A NeuralNetwork."""
    classes = chance.random() < 0.5
    norms = '<LinearNorm orig="-1" norm="0"/><LinearNorm orig="0.5" norm="0.25"/><LinearNorm orig="2" norm="1"/>'
    inputs = [
        '<NormDiscrete field="c" value="red"/>',
        f'<NormContinuous field="a" outliers="{chance.choice(("asIs", "asExtremeValues"))}">{norms}</NormContinuous>',
        '<NormContinuous field="b" mapMissingTo="0.5"><LinearNorm orig="0" norm="0"/><LinearNorm orig="2" norm="1"/>'
        "</NormContinuous>",
        '<FieldRef field="f"/>',
    ]
    neural = "".join(
        f'<NeuralInput id="0,{index}"><DerivedField optype="continuous" dataType="double">{each}</DerivedField>'
        "</NeuralInput>"
        for index, each in enumerate(inputs)
    )
    functions = [
        "logistic",
        "tanh",
        "identity",
        "exponential",
        "square",
        "Gauss",
        "sine",
        "cosine",
        "Elliott",
        "arctan",
        "rectifier",
        "threshold",
        "reciprocal",
    ]
    sizes = [len(inputs), 3, 3 if classes else 1]
    layers = ""
    for level in (1, 2):
        function = chance.choice(functions)
        attributes = f'activationFunction="{function}"' + (' threshold="0.2"' if function == "threshold" else "")
        if classes and level == 2 and chance.random() < 0.7:
            attributes += f' normalizationMethod="{chance.choice(("softmax", "simplemax"))}"'
        neurons = "".join(
            f'<Neuron id="{level},{index}" bias="{chance.uniform(-1, 1)}">'
            + "".join(
                f'<Con from="{level - 1},{source}" weight="{chance.uniform(-1, 1)}"/>'
                for source in range(sizes[level - 1])
            )
            + "</Neuron>"
            for index in range(sizes[level])
        )
        layers += f"<NeuralLayer {attributes}>{neurons}</NeuralLayer>"
    if classes:
        outputs = "".join(
            f'<NeuralOutput outputNeuron="2,{index}"><DerivedField optype="categorical" dataType="string">'
            f'<NormDiscrete field="class" value="{label}"/></DerivedField></NeuralOutput>'
            for index, label in enumerate(chance.sample(CLASSES, 3))
        )
    else:
        outputs = (
            '<NeuralOutput outputNeuron="2,0"><DerivedField optype="continuous" dataType="double">'
            '<FieldRef field="number"/></DerivedField></NeuralOutput>'
        )
    function, name = ("classification", "class") if classes else ("regression", "number")
    return (
        f'<NeuralNetwork functionName="{function}" activationFunction="tanh">{schema(name)}{targets(chance, classes)}'
        f"<NeuralInputs>{neural}</NeuralInputs>{layers}<NeuralOutputs>{outputs}</NeuralOutputs></NeuralNetwork>"
    )


def _expression(chance: random.Random, depth: int = 0) -> str:
    draw = chance.random()
    if depth >= 3 or draw < 0.25:
        return f'<FieldRef field="{chance.choice(("a", "b"))}"/>'
    if draw < 0.3:
        other = chance.choice("fan")
        return f'<Apply function="{chance.choice("+*")}"><FieldRef field="f"/><FieldRef field="{other}"/></Apply>'
    if draw < 0.35:
        return f'<Constant dataType="double">{chance.choice(GRID)}</Constant>'

    def inner() -> str:
        return _expression(chance, depth + 1)

    missing = f' mapMissingTo="{chance.choice(GRID)}"' if chance.random() < 0.15 else ""
    if draw < 0.6:
        return f'<Apply function="{chance.choice("+-*")}"{missing}>{inner()}{inner()}</Apply>'
    if draw < 0.7:
        function = chance.choice(("abs", "exp", "floor", "ceil", "round", "sin", "tanh"))
        return f'<Apply function="{function}">{inner()}</Apply>'
    if draw < 0.8:
        function = chance.choice(("min", "max", "sum", "avg"))
        return f'<Apply function="{function}"{missing}>{inner()}{inner()}{inner()}</Apply>'
    test = chance.choice(
        (
            f'<Apply function="{chance.choice(("lessThan", "greaterOrEqual", "notEqual"))}">{inner()}{inner()}</Apply>',
            '<Apply function="equal"><FieldRef field="c"/><Constant dataType="string">red</Constant></Apply>',
            '<Apply function="isMissing"><FieldRef field="b"/></Apply>',
            '<Apply function="and"><Apply function="isNotMissing"><FieldRef field="c"/></Apply>'
            f'<Apply function="greaterThan">{inner()}{inner()}</Apply></Apply>',
        )
    )
    return f'<Apply function="if"{missing}>{test}{inner()}{inner()}</Apply>'


def derived(chance: random.Random) -> str:
    """A regression of derived fields."""
    inputs = tuple(f"d{index}" for index in range(3))
    fields = "".join(
        f'<DerivedField name="{name}" optype="continuous" dataType="{chance.choice(("double", "float"))}">'
        f"{_expression(chance)}</DerivedField>"
        for name in inputs
    )
    model = regression(chance, False, inputs=inputs)
    for name in inputs:
        model = model.replace(f'<MiningField name="{name}"/>', "")
    return model.replace(
        "</MiningSchema>", f"</MiningSchema><LocalTransformations>{fields}</LocalTransformations>"
    ).replace(*_targets_last(model))


def _targets_last(model: str) -> tuple[str, str]:
    """Targets stand before LocalTransformations."""
    start, end = model.find("<Targets>"), model.find("</Targets>")
    return (model[start : end + 10], "") if start >= 0 else ("", "")
