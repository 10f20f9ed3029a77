"""The obvious per-record port of the serving job to PyFlink: each record decoded, scored and encoded by itself.

It is written as the API invites to write it, and so it lacks what the API does not hand out: PyFlink's Kafka source
gives a record's value alone, so results have no key and no place on the log.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from pyflink.common import Types, WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema
from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext
from pyflink.datastream.connectors import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.state import ListStateDescriptor, ValueStateDescriptor

from bench.unbatched import UNBATCHED
from modelserving.archive import unpack
from modelserving.configuration import load_data_types
from modelserving.flink.environment import environments, run
from modelserving.flink.options import DELIVERIES, JobOptions
from modelserving.topics import Topics

# By module: functions of a script travel to the workers with all they name, which a class of protobuf cannot do.
from modelserving.wire import model_pb2, serving_pb2, wine_pb2

FEATURES = [field.name for field in wine_pb2.WineRecord.DESCRIPTOR.fields][:11]

Score = Callable[[wine_pb2.WineRecord, serving_pb2.ServingResult], None]
"""Put the answer to a record into its result."""


@click.command()
@click.option("--bootstrap-servers", required=True)
@click.option("--topic-prefix", default="")
@click.option("--name", required=True)
@click.option("--parallelism", type=int, default=1)
@click.option("--delivery", type=click.Choice(DELIVERIES), default="exactly-once")
@click.option("--checkpoint-interval", type=int, default=2000)
def main(
    *, bootstrap_servers: str, topic_prefix: str, name: str, parallelism: int, delivery: str, checkpoint_interval: int
) -> None:
    """Score every record from the records topic, one by one."""
    options = JobOptions(
        join="none",
        bootstrap_servers=bootstrap_servers,
        topics=Topics(topic_prefix),
        data_types=load_data_types(None),
        name=name,
        start="earliest",
        delivery=delivery,
        checkpoint_interval_ms=checkpoint_interval,
        parallelism=parallelism,
        configuration=UNBATCHED,
    )
    with environments(options) as (stream, _):
        records = _read(stream, options, options.topics.records)
        models = _read(stream, options, options.topics.models).set_parallelism(1)
        results = (
            records.key_by(_data_type_of_record, key_type=Types.STRING())
            .connect(models.key_by(_data_type_of_model, key_type=Types.STRING()))
            .process(_Join(), output_type=Types.PRIMITIVE_ARRAY(Types.BYTE()))
        )
        results.sink_to(_sink(options))
        run(stream, name)


def _read(stream: Any, options: JobOptions, topic: str) -> Any:
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(options.bootstrap_servers)
        .set_topics(topic)
        .set_group_id(f"{options.name}-{topic}")
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_property("isolation.level", "read_committed")
        .set_value_only_deserializer(ByteArraySchema())
        .build()
    )
    values = Types.PRIMITIVE_ARRAY(Types.BYTE())
    return stream.from_source(source, WatermarkStrategy.no_watermarks(), topic, type_info=values)


def _sink(options: JobOptions) -> KafkaSink:
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(options.topics.results)
        .set_value_serialization_schema(ByteArraySchema())
        .build()
    )
    return (
        KafkaSink.builder()
        .set_bootstrap_servers(options.bootstrap_servers)
        .set_record_serializer(serializer)
        .set_delivery_guarantee(DeliveryGuarantee[options.delivery.replace("-", "_").upper()])
        .set_transactional_id_prefix(options.name)
        # The broker's maximum by default; Flink's own default, one hour, is refused by such a broker.
        .set_property("transaction.timeout.ms", str(15 * 60 * 1000))
        .build()
    )


def _data_type_of_record(value: bytes) -> str:
    return wine_pb2.WineRecord.FromString(value).dataType


def _data_type_of_model(value: bytes) -> str:
    return model_pb2.ModelDescriptor.FromString(value).dataType


class _Join(KeyedCoProcessFunction):
    """Scores each record with the newest model of its data type; records that come before any model wait."""

    def open(self, runtime_context: RuntimeContext) -> None:
        values = Types.PRIMITIVE_ARRAY(Types.BYTE())
        self._descriptor = runtime_context.get_state(ValueStateDescriptor("descriptor", values))
        self._waiting = runtime_context.get_list_state(ListStateDescriptor("waiting", values))
        self._live: dict[str, _Model] = {}

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[bytes]:
        model = self._model(ctx.get_current_key())
        if model is None:
            self._waiting.add(value)
        else:
            yield model.answer(value)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[bytes]:
        self._descriptor.update(value)
        self._live.pop(ctx.get_current_key(), None)
        model = self._model(ctx.get_current_key())
        if model is not None:
            for record in self._waiting.get():
                yield model.answer(record)
            self._waiting.clear()

    def _model(self, data_type: str) -> _Model | None:
        model = self._live.get(data_type)
        if model is None:
            descriptor = self._descriptor.value()
            if descriptor is not None:
                model = self._live[data_type] = _Model(model_pb2.ModelDescriptor.FromString(bytes(descriptor)))
        return model


class _Model:
    """A loaded model."""

    def __init__(self, descriptor: model_pb2.ModelDescriptor) -> None:
        self._descriptor = descriptor
        self._sha256 = hashlib.sha256(descriptor.data).hexdigest()
        self._score = _LOADERS[descriptor.modeltype](descriptor)

    def answer(self, value: bytes) -> bytes:
        """The encoded result for an encoded record."""
        received = time.time_ns()
        result = serving_pb2.ServingResult(
            data_type=self._descriptor.dataType,
            model_name=self._descriptor.name,
            model_version=self._descriptor.version or self._sha256[:12],
            model_sha256=self._sha256,
        )
        self._score(wine_pb2.WineRecord.FromString(bytes(value)), result)
        now = time.time_ns()
        result.scored_at_ms = now // 1_000_000
        result.latency_us = (now - received) // 1000
        return result.SerializeToString()


def _load_graph(descriptor: model_pb2.ModelDescriptor) -> Score:
    import tensorflow as tf  # noqa: PLC0415 - only where a model needs it

    definition = tf.compat.v1.GraphDef.FromString(descriptor.data)
    source = next(node.name for node in definition.node if node.op == "Placeholder")
    target = definition.node[-1].name
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)

    def score(record: wine_pb2.WineRecord, result: serving_pb2.ServingResult) -> None:
        features = [getattr(record, name) for name in FEATURES]
        outputs = session.run(f"{target}:0", feed_dict={f"{source}:0": [features]})[0]
        result.outputs.extend(outputs.tolist())
        result.label = str(outputs.argmax())

    return score


def _load_saved_model(descriptor: model_pb2.ModelDescriptor) -> Score:
    import tensorflow as tf  # noqa: PLC0415 - only where a model needs it

    with tempfile.TemporaryDirectory() as folder:
        unpack(descriptor.data, Path(folder))
        model = tf.saved_model.load(str(next(Path(folder).rglob("saved_model.pb")).parent))
    signature = next(iter(model.signatures.values()))
    source = next(iter(signature.structured_input_signature[1]))
    target = next(iter(signature.structured_outputs))

    def score(record: wine_pb2.WineRecord, result: serving_pb2.ServingResult) -> None:
        features = [getattr(record, name) for name in FEATURES]
        outputs = signature(**{source: tf.constant([features], tf.float32)})[target].numpy()[0]
        result.outputs.extend(outputs.tolist())
        result.label = str(outputs.argmax())

    # it owns the variables that the signature reads
    score.model = model  # type: ignore[attr-defined]
    return score


def _load_pmml(descriptor: model_pb2.ModelDescriptor) -> Score:
    from pypmml import Model, PMMLContext  # noqa: PLC0415 - only where a model needs it

    PMMLContext.getOrCreate(gateway="jpype")
    model = Model.fromString(descriptor.data.decode())
    inputs = {name: name.replace(" ", "_") for name in model.inputNames}

    def score(record: wine_pb2.WineRecord, result: serving_pb2.ServingResult) -> None:
        answer = model.predict({name: getattr(record, feature) for name, feature in inputs.items()})
        for name, value in answer.items():
            if name.startswith("predicted_"):
                if isinstance(value, str):
                    result.label = value
                else:
                    result.number = value
            elif name.startswith("probability_"):
                result.probabilities[name.removeprefix("probability_")] = value

    return score


_LOADERS: dict[int, Callable[[model_pb2.ModelDescriptor], Score]] = {
    model_pb2.ModelType.TENSORFLOW: _load_graph,
    model_pb2.ModelType.TENSORFLOWSAVED: _load_saved_model,
    model_pb2.ModelType.PMML: _load_pmml,
}

if __name__ == "__main__":
    main()
