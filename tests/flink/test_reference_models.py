"""Every reference model, in both joins, Kafka to Kafka: the reference's wire format in, the expected answers out."""

from __future__ import annotations

import math

import pytest

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import ServingResult
from tests.flink.conftest import StartJob
from tests.flink.messages import ROWS, wine_records
from tests.kafka_client import TopicReader, produce
from tests.runtimes.test_reference_models import REFERENCE, descriptor, expected

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no folder ../shared/reference with the models")

MODELS = {
    "winequalityLinearRegression": "winequalityLinearRegression.pmml",
    "winequalityGeneralizedLinearRegressionGaussian": "winequalityGeneralizedLinearRegressionGaussian.pmml",
    "winequalityDecisionTreeClassification": "winequalityDecisionTreeClassification.pmml",
    "winequalityMultilayerPerceptron": "winequalityMultilayerPerceptron.pmml",
    "optimized_WineQuality": "optimized_WineQuality.pb",
    "saved_model": "saved_model/1",
}


def test_all_rows_get_the_expected_answers(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    reader = TopicReader(broker.bootstrap_servers, topics.results)
    with start_job(join) as job:
        for name, file in MODELS.items():
            message = descriptor(file)
            message.dataType = "wine"
            produce(broker.bootstrap_servers, topics.models, [(None, message.SerializeToString())])
            # The model serves from some moment on: records go in until one comes out scored by it.
            probes = len(reader.poll())
            while not probes or last(reader).model_name != file:
                produce(broker.bootstrap_servers, topics.records, wine_records(1))
                probes += 1
                reader.wait_for(probes)
            positions = produce(broker.bootstrap_servers, topics.records, wine_records(len(ROWS)))
            messages = reader.wait_for(probes + len(ROWS))[probes:]
            results = [ServingResult.FromString(message.value()) for message in messages]
            by_position = {(result.record.partition, result.record.offset): result for result in results}
            assert set(by_position) == set(positions), name
            for result, answer in zip((by_position[p] for p in positions), expected(name), strict=True):
                assert result.model_name == file
                assert_equal(result, answer)
        assert job.restarts() == 0
    reader.close()


def last(reader: TopicReader) -> ServingResult:
    return ServingResult.FromString(reader.messages[-1].value())


def assert_equal(result: ServingResult, answer: dict[str, object]) -> None:
    """PMML to 1e-9 relative, TensorFlow to 1e-5 absolute, labels to the letter."""
    if "output" in answer:
        assert result.outputs == pytest.approx(answer["output"], abs=1e-5, rel=0)
        assert result.label == str(answer["argmax"])
        return
    probabilities = {key[12:-1]: value for key, value in answer.items() if key.startswith("probability(")}
    if probabilities:
        assert result.label == answer["quality"]
        assert dict(result.probabilities) == pytest.approx(probabilities, rel=1e-9, abs=0)
    else:
        assert result.WhichOneof("answer") == "number"
        assert math.isclose(result.number, float(str(answer["quality"])), rel_tol=1e-9)
