"""Clusterings are served: the label is the cluster's id, or its position if it has none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from modelserving.errors import ModelRejected
from modelserving.runtimes.pmml import load
from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_exports import EXPORTS
from tests.runtimes.pmml_random import MIXED, batch, records
from tests.runtimes.pmml_samples import AGE, SHOP, TOTAL, descriptor, document, shop_batch


def clusters(fields: str, measure: str = "<squaredEuclidean/>", kind: str = "distance", centers: str = "") -> str:
    own = centers or (
        '<Cluster id="young"><Array n="2" type="real">20 1</Array></Cluster>'
        '<Cluster><Array n="2" type="real">60 4</Array></Cluster>'
    )
    return (
        '<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="2"><MiningSchema>'
        '<MiningField name="age"/><MiningField name="Basket total"/></MiningSchema>'
        f'<ComparisonMeasure kind="{kind}">{measure}</ComparisonMeasure>{fields}{own}</ClusteringModel>'
    )


BOTH = '<ClusteringField field="age"/><ClusteringField field="Basket total"/>'


def test_labels_are_ids_or_positions() -> None:
    servable = load(descriptor(document(clusters(BOTH), AGE, TOTAL)), SHOP)
    assert servable.engine == VectorisedServable.engine
    scores = servable.score(shop_batch([20.0, 50.0, None, None], [1.0, 1.0, 3.5, None]))
    assert scores.classes == ("young", "2")
    assert scores.label_index is not None
    assert scores.label_index.tolist()[:3] == [0, 1, 1]
    assert scores.probabilities is None
    assert [(failure.row, failure.reason) for failure in scores.failures] == [(3, Reason.MISSING_FEATURE)]
    servable.close()


def test_a_field_that_is_no_part_of_the_centers_does_not_count_with_either_engine() -> None:
    """PMML4S alone would read it as one; JPMML raises."""
    aside = '<ClusteringField field="Basket total" isCenterField="false"/>'
    fields = f'{aside}<ClusteringField field="age"/>{aside}<ClusteringField field="Basket total"/>'
    servable = load(descriptor(document(clusters(fields), AGE, TOTAL)), SHOP)
    assert (servable.engine, servable.engine_reason.split(",")[0]) == (
        VectorisedServable.engine,
        "it answers generated records as PMML4S does",
    )
    servable.close()


@pytest.mark.parametrize("name", EXPORTS)
def test_what_tools_export_is_vectorised(name: str) -> None:
    model = ModelDescriptor(name="sample", modeltype=ModelType.PMML, data=EXPORTS[name])
    servable = load(model, MIXED)
    assert servable.engine == VectorisedServable.engine, servable.engine_reason
    servable.close()


def test_the_domain_has_the_centers() -> None:
    servable = load(descriptor(document(clusters(BOTH), AGE, TOTAL)), SHOP)
    assert {20.0, 60.0} <= set(servable.domain["age"].numbers)
    assert {1.0, 4.0} <= set(servable.domain["basket_total"].numbers)
    servable.close()


def test_a_clustering_without_clusters_is_refused() -> None:
    model = re.sub("<Cluster[ >].*</Cluster>", "", clusters(BOTH))
    with pytest.raises(ModelRejected, match="no clusters"):
        parse(document(model, AGE, TOTAL))


@pytest.mark.parametrize(
    ("model", "construct"),
    [
        (clusters(BOTH).replace("centerBased", "distributionBased"), "modelClass"),
        (clusters(BOTH.replace('"age"', '"age" compareFunction="table"')), "'table'"),
        (clusters(BOTH.replace('"age"', '"age" compareFunction="gaussSim"')), "similarityScale"),
        (clusters(BOTH, '<minkowski p-parameter="0"/>'), "p-parameter"),
        (clusters(BOTH, "<jaccard/>"), "jaccard"),
        (clusters(BOTH, "<jaccard/>", "similarity"), "not 0 and 1"),
        (clusters(BOTH[: len(BOTH) // 2 + 30].split("/>", maxsplit=1)[0] + "/>"), "2 values for 1 fields"),
        (clusters(BOTH).replace("<Cluster>", '<Cluster id="young">'), "differ"),
    ],
)
def test_not_covered(model: str, construct: str) -> None:
    parsed = parse(document(model, AGE, TOTAL))
    with pytest.raises(NotCovered, match=re.escape(construct)):
        CompiledDocument(parsed, bind(parsed.inputs, SHOP))


def test_a_chain_reads_clusters_and_how_near_they_are() -> None:
    """The affinity is the distance, of the cluster named or else of the winner."""
    first = clusters(BOTH).replace(
        "</MiningSchema>",
        '</MiningSchema><Output><OutputField name="near" dataType="double" feature="affinity"/>'
        '<OutputField name="of young" dataType="double" feature="affinity" value="young"/>'
        '<OutputField name="id" dataType="string" feature="entityId"/></Output>',
    )
    last = (
        '<RegressionModel functionName="regression"><MiningSchema><MiningField name="near"/></MiningSchema>'
        '<RegressionTable intercept="0"><NumericPredictor name="near" coefficient="1"/>'
        '<NumericPredictor name="of young" coefficient="1000"/>'
        '<CategoricalPredictor name="id" value="2" coefficient="0.5"/></RegressionTable></RegressionModel>'
    )
    chain = (
        '<MiningModel functionName="regression"><MiningSchema><MiningField name="age"/>'
        '<MiningField name="Basket total"/></MiningSchema><Segmentation multipleModelMethod="modelChain">'
        f"<Segment><True/>{first}</Segment><Segment><True/>{last}</Segment></Segmentation></MiningModel>"
    )
    parsed = parse(document(chain, AGE, TOTAL))
    answer, _, _ = CompiledDocument(parsed, bind(parsed.inputs, SHOP)).score(shop_batch([21.0, 60.0], [1.0, 2.0]))
    assert answer.numbers is not None
    np.testing.assert_allclose(answer.numbers, [1 + 1000 * 1, 4 + 1000 * 1601 + 0.5])


def test_floats_are_summed_as_floats() -> None:
    """Each answer of XGBoost's chain is a number of 32 bits."""
    parsed = parse(EXPORTS["XGBoost binary"])
    answer, _, _ = CompiledDocument(parsed, bind(parsed.inputs, MIXED)).score(batch(records(0, 30)))
    assert answer.probabilities is not None
    np.testing.assert_array_equal(answer.probabilities, answer.probabilities.astype(np.float32).astype(np.float64))
