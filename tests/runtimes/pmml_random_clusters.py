"""Random clusterings for `pmml_random.py`."""

from __future__ import annotations

import random

from tests.runtimes.pmml_random_fields import COLOURS, GRID, NUMBERS, schema

_FLAGS = tuple(f"flag{index}" for index in range(len(COLOURS) + 1))
_DERIVED = "".join(
    f'<DerivedField name="{name}" optype="continuous" dataType="double"><NormDiscrete field="c" value="{colour}"/>'
    "</DerivedField>"
    for name, colour in zip(_FLAGS, COLOURS, strict=False)
) + (
    f'<DerivedField name="{_FLAGS[-1]}" optype="continuous" dataType="double">'
    '<Apply function="threshold" mapMissingTo="1"><FieldRef field="a"/><Constant dataType="double">0.5</Constant>'
    "</Apply></DerivedField>"
)


def clusters(chance: random.Random) -> str:
    """A ClusteringModel of any distance, or of any similarity of flags."""
    if chance.random() < 0.3:
        return _similar(chance)
    names = (*chance.sample(NUMBERS, chance.randint(1, 4)), *chance.sample(_FLAGS, chance.randint(0, 2)))
    measure = chance.choice(
        ("<euclidean/>", "<squaredEuclidean/>", "<cityBlock/>", "<chebychev/>", '<minkowski p-parameter="1.5"/>')
    )
    default = chance.choice(("", "", 'compareFunction="absDiff"', 'compareFunction="delta"', 'compareFunction="equal"'))
    fields = ""
    for name in names:
        # JPMML compares an integer for equality with a whole number only
        own = "absDiff" if name == "n" else chance.choice(("", "", "absDiff", "gaussSim", "delta", "equal"))
        attributes = f' compareFunction="{own}"' if own else ""
        attributes += ' similarityScale="0.75"' if own == "gaussSim" else ""
        attributes += f' fieldWeight="{chance.choice((0.5, 2, 3))}"' if chance.random() < 0.4 else ""
        fields += f'<ClusteringField field="{name}"{attributes}/>'
    weights = ""
    if chance.random() < 0.4:
        weights = f"<MissingValueWeights>{_array([chance.choice((0.25, 1, 2)) for _ in names])}</MissingValueWeights>"
    centers = [[chance.choice(GRID) for _ in names] for _ in range(chance.randint(2, 5))]
    return _model(chance, f"<ComparisonMeasure kind='distance' {default}>{measure}", fields, weights, centers)


def _similar(chance: random.Random) -> str:
    counts = " ".join(
        f'{letter}{pair}-parameter="{chance.choice((0.5, 1, 2))}"'
        for letter in "cd"
        for pair in ("11", "10", "01", "00")
    )
    measure = chance.choice(("<simpleMatching/>", "<jaccard/>", "<tanimoto/>", f"<binarySimilarity {counts}/>"))
    fields = "".join(f'<ClusteringField field="{name}"/>' for name in _FLAGS)
    centers = [[float(chance.randint(0, 1)) for _ in _FLAGS] for _ in range(3)]
    return _model(chance, f"<ComparisonMeasure kind='similarity'>{measure}", fields, "", centers)


def _model(chance: random.Random, measure: str, fields: str, weights: str, centers: list[list[float]]) -> str:
    names = chance.choice(
        (("",) * 5, ("id='x'", "id='y'", "", "id='7'", "id='z'"), tuple(f"name='c{i}'" for i in range(5)))
    )
    own = "".join(f"<Cluster {name}>{_array(center)}</Cluster>" for name, center in zip(names, centers, strict=False))
    return (
        f'<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="{len(centers)}">'
        f"{schema(None)}<LocalTransformations>{_DERIVED}</LocalTransformations>{measure}</ComparisonMeasure>{fields}"
        f"{weights}{own}</ClusteringModel>"
    )


def _array(numbers: list[float]) -> str:
    return f"<Array type='real' n='{len(numbers)}'>{' '.join(map(str, numbers))}</Array>"
