"""A cold start reads the model log, on a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from modelserving import loader, model_log
from modelserving.admission import Admission
from modelserving.configuration import load_data_types
from modelserving.data_types import DataType, DataTypes, Feature
from modelserving.descriptors import ModelSources
from modelserving.errors import BrokerError, ModelRejected
from modelserving.local.broker import LocalBroker, free_port
from modelserving.model_log import newest_models, newest_models_once
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel
from tests.core.cases import FakeServable
from tests.kafka_client import produce
from tests.model_cases import MALFORMED, changed

JUDGE = Admission(DataTypes((*load_data_types(), DataType("beer", (Feature("alcohol"),)))), ModelSources(), lambda: 0)
Send = Callable[..., None]


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The models loaded so far; those whose bytes begin with `bad` cannot be."""
    models: list[bytes] = []

    def load(descriptor: ModelDescriptor, _: DataType) -> FakeServable:
        models.append(descriptor.data)
        if descriptor.data.startswith(b"bad"):
            raise ModelRejected(Reason.UNLOADABLE, "this one is bad")
        return FakeServable(())

    monkeypatch.setattr(loader, "load", load)
    return models


@pytest.fixture
def send(broker: LocalBroker, topics: Topics) -> Send:
    """Append messages to the model log."""

    def append(*messages: bytes | None) -> None:
        produce(broker.bootstrap_servers, topics.models, [(None, message) for message in messages])

    return append


@pytest.fixture
def newest(broker: LocalBroker, topics: Topics) -> Callable[[], dict[str, tuple[int, bytes]]]:
    """Data type → offset and bytes of its newest model."""
    return lambda: offsets_and_data(newest_models(broker.bootstrap_servers, topics.models, JUDGE))


Newest = Callable[[], dict[str, tuple[int, bytes]]]


def offsets_and_data(models: dict[str, AdmittedModel]) -> dict[str, tuple[int, bytes]]:
    return {name: (admitted.offset, admitted.descriptor.data) for name, admitted in models.items()}


def model(data: bytes, data_type: str = "wine") -> bytes:
    return changed(data=data, dataType=data_type)


def transaction(broker: LocalBroker, topics: Topics, *messages: bytes, commit: bool = True) -> None:
    """Append messages in a transaction, which leaves a marker at its end."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": topics.prefix})
    producer.init_transactions(30)
    producer.begin_transaction()
    for message in messages:
        producer.produce(topics.models, value=message)
    assert producer.flush(30) == 0
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_an_empty_log(newest: Newest) -> None:
    assert newest() == {}


def test_the_newest_model_of_each_data_type(send: Send, newest: Newest, loaded: list[bytes]) -> None:
    send(model(b"1"), model(b"2", "beer"), model(b"3"), model(b"4", "beer"), model(b"5"))
    assert newest() == {"wine": (4, b"5"), "beer": (3, b"4")}
    assert sorted(loaded) == [b"4", b"5"]


def test_the_models_are_complete(send: Send, broker: LocalBroker, topics: Topics) -> None:
    send(model(b"1"))
    descriptor = newest_models(broker.bootstrap_servers, topics.models, JUDGE)["wine"].descriptor
    assert descriptor.version == descriptor.sha256[:12] != ""


def test_bad_models_are_passed_over(send: Send, newest: Newest, loaded: list[bytes]) -> None:
    send(model(b"1", "beer"), model(b"2"), model(b"3"), model(b"bad 4"), *MALFORMED.values(), model(b"bad 5"))
    assert newest() == {"wine": (2, b"3"), "beer": (0, b"1")}
    assert sorted(loaded) == [b"1", b"3", b"bad 4", b"bad 5"]


def test_no_good_model_at_all(send: Send, newest: Newest) -> None:
    send(model(b"bad 1"), model(b"bad 2"), *MALFORMED.values())
    assert newest() == {}


def test_data_types_that_are_not_configured_are_not_loaded(send: Send, newest: Newest, loaded: list[bytes]) -> None:
    send(model(b"1", "stranger"), model(b"2"), model(b"3", "stranger"))
    assert newest() == {"wine": (1, b"2")}
    assert loaded == [b"2"]


def test_a_marker_at_the_end_of_the_log(send: Send, newest: Newest, broker: LocalBroker, topics: Topics) -> None:
    send(model(b"1"))
    transaction(broker, topics, model(b"2"))
    assert newest() == {"wine": (1, b"2")}


def test_markers_between_the_models(send: Send, newest: Newest, broker: LocalBroker, topics: Topics) -> None:
    transaction(broker, topics, model(b"1"))  # marker at 1
    transaction(broker, topics, model(b"2", "beer"), model(b"3"))  # marker at 4
    send(model(b"bad 5"))
    transaction(broker, topics, model(b"bad 6"))
    assert newest() == {"wine": (3, b"3"), "beer": (2, b"2")}


def test_aborted_models_are_none(newest: Newest, broker: LocalBroker, topics: Topics) -> None:
    transaction(broker, topics, model(b"1"))
    for _ in range(5):
        transaction(broker, topics, model(b"2"), model(b"3"), commit=False)
    assert newest() == {"wine": (0, b"1")}


def test_nothing_but_aborted_models(newest: Newest, broker: LocalBroker, topics: Topics) -> None:
    transaction(broker, topics, model(b"1"), commit=False)
    assert newest() == {}


def delete_before(broker: LocalBroker, topics: Topics, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for deleted in admin.delete_records([TopicPartition(topics.models, 0, offset)]).values():
        deleted.result(30)


def test_a_log_whose_beginning_was_deleted(send: Send, newest: Newest, broker: LocalBroker, topics: Topics) -> None:
    send(model(b"1", "beer"), model(b"2"), model(b"3"), model(b"bad 4"))
    delete_before(broker, topics, 2)
    assert newest() == {"wine": (2, b"3")}
    delete_before(broker, topics, 4)
    assert newest() == {}


def test_models_deleted_while_they_are_read(
    send: Send, newest: Newest, broker: LocalBroker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(model(b"1"), model(b"2"), model(b"bad 3"), model(b"4", "beer"))
    plain = loader.load

    def load(descriptor: ModelDescriptor, data_type: DataType) -> object:
        if descriptor.data == b"bad 3":
            delete_before(broker, topics, 2)
        return plain(descriptor, data_type)

    monkeypatch.setattr(loader, "load", load)
    assert newest() == {"beer": (3, b"4")}


def test_large_models(send: Send, newest: Newest) -> None:
    size = 5 * 1024 * 1024
    large = [letter * size for letter in (b"a", b"b", b"c")]
    send(*(model(data) for data in large), model(b"bad" + bytes(size)))
    assert newest() == {"wine": (2, large[2])}


def test_threads_share_one_read(send: Send, broker: LocalBroker, topics: Topics, loaded: list[bytes]) -> None:
    send(model(b"1"), model(b"2", "beer"))
    threads = 8
    together = threading.Barrier(threads)

    def read(_: int) -> dict[str, AdmittedModel]:
        together.wait(30)
        return newest_models_once(broker.bootstrap_servers, topics.models, JUDGE)

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(read, range(threads)))
    assert offsets_and_data(answers[0]) == {"wine": (0, b"1"), "beer": (1, b"2")}
    assert all(answer is answers[0] for answer in answers)
    assert sorted(loaded) == [b"1", b"2"]
    send(model(b"3"))
    assert newest_models_once(broker.bootstrap_servers, topics.models, JUDGE) is answers[0]


def test_no_broker(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_log, "READ_TIMEOUT_MS", 1_000)
    with pytest.raises(BrokerError, match=topics.models):
        newest_models(f"127.0.0.1:{free_port()}", topics.models, JUDGE)
