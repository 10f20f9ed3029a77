"""The records that engines are compared on get everywhere in a forest: one wrong split of it is found."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from modelserving.runtimes import pmml_paths
from modelserving.runtimes.pmml_agreement import compare
from modelserving.runtimes.pmml_document import PmmlDocument, parse
from modelserving.runtimes.pmml_domain import domains
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.pmml_paths import Row, records
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from tests.runtimes.pmml_random import MIXED, document
from tests.runtimes.pmml_random_fields import COLOURS, schema

TREES = 100
DEPTH = 7


def forest(seed: int, trees: int = TREES) -> bytes:
    """A forest as tools grow it: each split divides what the splits above it have left."""
    chance = random.Random(seed)  # noqa: S311

    def node(predicate: str, box: dict[str, tuple[float, float]], depth: int) -> str:
        if depth == DEPTH or (depth > 3 and chance.random() < 0.2):
            return f'<Node score="{chance.uniform(-5, 5)}">{predicate}</Node>'
        if "c" in box and chance.random() < 0.1:
            box = {name: each for name, each in box.items() if name != "c"}
            few = f'<Array type="string">"{chance.choice(COLOURS)}"</Array></SimpleSetPredicate>'
            low, high = (
                f'<SimpleSetPredicate field="c" booleanOperator="{operator}">{few}' for operator in ("isIn", "isNotIn")
            )
            return f'<Node score="0">{predicate}{node(low, box, depth + 1)}{node(high, box, depth + 1)}</Node>'
        name = chance.choice("abf")
        start, end = box[name]
        cut = start + (end - start) * chance.uniform(0.2, 0.8)
        low, high = (
            f'<SimplePredicate field="{name}" operator="{operator}" value="{cut}"/>'
            for operator in ("lessOrEqual", "greaterThan")
        )
        children = node(low, {**box, name: (start, cut)}, depth + 1) + node(high, {**box, name: (cut, end)}, depth + 1)
        return f'<Node score="0">{predicate}{children}</Node>'

    segments = "".join(
        f'<Segment><True/><TreeModel functionName="regression" splitCharacteristic="binarySplit">{schema(None)}'
        f"{node('<True/>', dict.fromkeys('abfc', (-2.0, 4.0)), 0)}</TreeModel></Segment>"
        for _ in range(trees)
    )
    template = document(0, "regression forest").decode()
    model = (
        f'<MiningModel functionName="regression">{schema("number")}<Segmentation multipleModelMethod="average">'
        f"{segments}</Segmentation></MiningModel>"
    )
    return (template[: template.index("</DataDictionary>")] + f"</DataDictionary>{model}</PMML>").encode()


def servable(parsed: PmmlDocument) -> VectorisedServable:
    bound = bind(parsed.inputs, MIXED)
    return VectorisedServable(parsed, bound, domains(parsed, bound))


def directed(parsed: PmmlDocument) -> list[Row]:
    bound = bind(parsed.inputs, MIXED)
    return records(parsed, bound, domains(parsed, bound))


def deepest(root: ET.Element) -> Iterator[ET.Element]:
    """The nodes with two leaves."""
    for each in root.iter("Node"):
        children = each.findall("Node")
        if len(children) == 2 and not any(child.findall("Node") for child in children):
            yield each


def flipped(node: ET.Element) -> None:
    """Take each of two leaves where the other one is to be taken."""
    first, second = node.findall("Node")
    first.attrib["score"], second.attrib["score"] = second.attrib["score"], first.attrib["score"]


@pytest.fixture(scope="module")
def sound() -> PmmlDocument:
    return parse(forest(1))


def test_one_flipped_split_deep_in_a_forest_is_found(sound: PmmlDocument) -> None:
    bound = bind(sound.inputs, MIXED)
    inputs = {each.feature: each.field.numeric for each in bound}
    right, wanted = servable(sound), directed(sound)
    assert compare(servable(sound), right, inputs, directed=wanted).difference is None
    places = list(deepest(sound.root))
    assert len(places) > 20 * TREES
    missed = by_chance = 0
    for place in random.Random(2).sample(places, 15):  # noqa: S311
        flipped(place)
        wrong = servable(sound)
        flipped(place)
        missed += compare(wrong, right, inputs, directed=wanted).difference is None
        by_chance += compare(wrong, right, inputs).difference is not None
    assert missed == 0
    assert by_chance < 15, "records by chance would do as well"


def test_all_leaves_take_few_records(sound: PmmlDocument) -> None:
    most = max(sum(not each.findall("Node") for each in tree.iter("Node")) for tree in sound.root.iter("TreeModel"))
    assert most < len(directed(sound)) < 12 * most


def test_there_is_a_limit(sound: PmmlDocument, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml_paths, "MOST_RECORDS", 7)
    assert len(directed(sound)) == 7


@pytest.mark.parametrize("kind", ["regression tree", "classification forest", "boosting", "scorecard", "clusters"])
@pytest.mark.parametrize("seed", range(5))
def test_any_document_will_do(kind: str, seed: int) -> None:
    parsed = parse(document(seed, kind))
    bound = bind(parsed.inputs, MIXED)
    wanted = directed(parsed)
    assert all(set(row) <= set(MIXED.feature_names) for row in wanted)
    inputs = {each.feature: each.field.numeric for each in bound}
    same = compare(servable(parsed), servable(parsed), inputs, directed=wanted)
    assert (same.difference, same.incomplete_different) == (None, 0)
