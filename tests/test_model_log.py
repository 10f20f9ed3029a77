"""A cold start reads the model log, on a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from modelserving import single_log
from modelserving.admission import Admission
from modelserving.errors import BrokerError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.model_history import NewestModel
from modelserving.model_log import message_at, newest_models, newest_models_once
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import Engine
from tests.core.model_logs import DATA_TYPES, FakeGate, model, retirement
from tests.kafka_client import produce
from tests.model_cases import MALFORMED

NOW_MS = 4_000_000_000_000
"""Later than any message is sent."""
Send = Callable[..., None]


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
def judge(gate: FakeGate) -> Admission:
    """What tells which models pass; its clock stands still, behind all messages of the log."""
    return Admission(DATA_TYPES, gate, lambda _: None, lambda: NOW_MS)


@pytest.fixture
def send(broker: LocalBroker, topics: Topics) -> Send:
    """Append messages to the model log."""

    def append(*messages: bytes | None) -> None:
        produce(broker.bootstrap_servers, topics.models, [(None, message) for message in messages])

    return append


Newest = Callable[[], dict[str, tuple[int, bytes] | None]]


@pytest.fixture
def newest(broker: LocalBroker, topics: Topics, judge: Admission) -> Newest:
    """Data type → offset and bytes of its newest model."""
    return lambda: offsets_and_data(newest_models(broker.bootstrap_servers, topics.models, judge))


def offsets_and_data(models: dict[str, NewestModel]) -> dict[str, tuple[int, bytes] | None]:
    return {
        name: None if newest.model is None else (newest.model.offset, newest.model.descriptor.data)
        for name, newest in models.items()
    }


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


def test_the_newest_model_of_each_data_type(send: Send, newest: Newest, gate: FakeGate) -> None:
    send(model(b"1"), model(b"2", "beer"), model(b"3"), model(b"4", "beer"), model(b"5"))
    assert newest() == {"wine": (4, b"5"), "beer": (3, b"4")}
    assert sorted(gate.checked) == [b"4", b"5"]


def test_the_models_are_complete(send: Send, broker: LocalBroker, topics: Topics, judge: Admission) -> None:
    send(model(b"1"))
    newest = newest_models(broker.bootstrap_servers, topics.models, judge)["wine"].model
    assert newest is not None
    descriptor = newest.descriptor
    assert descriptor.version == descriptor.sha256[:12] != ""


def test_bad_models_are_passed_over(send: Send, newest: Newest, gate: FakeGate) -> None:
    send(model(b"1", "beer"), model(b"2"), model(b"3"), model(b"bad 4"), *MALFORMED.values(), model(b"bad 5"))
    assert newest() == {"wine": (2, b"3"), "beer": (0, b"1")}
    assert sorted(gate.checked) == [b"1", b"3", b"bad 4", b"bad 5"]


def test_no_good_model_at_all(send: Send, newest: Newest) -> None:
    send(model(b"bad 1"), model(b"bad 2"), *MALFORMED.values())
    assert newest() == {"wine": None}


def test_data_types_that_are_not_configured_are_not_loaded(send: Send, newest: Newest, gate: FakeGate) -> None:
    send(model(b"1", "stranger"), model(b"2"), model(b"3", "stranger"))
    assert newest() == {"wine": (1, b"2")}
    assert gate.checked == [b"2"]


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


def test_models_deleted_while_they_are_read(send: Send, broker: LocalBroker, topics: Topics) -> None:
    send(model(b"1"), model(b"2"), model(b"bad 3"), model(b"4", "beer"))

    class Deleting(FakeGate):
        def check(self, complete: ModelDescriptor) -> Engine:
            if complete.data == b"bad 3":
                delete_before(broker, topics, 2)
            return super().check(complete)

    judge = Admission(DATA_TYPES, Deleting(), lambda _: None, lambda: NOW_MS)
    models = newest_models(broker.bootstrap_servers, topics.models, judge)
    assert offsets_and_data(models) == {"wine": None, "beer": (3, b"4")}


def test_retirements_count(send: Send, newest: Newest, gate: FakeGate) -> None:
    send(model(b"1", version="1"), model(b"2", version="2"), retirement(version="2"), retirement("absent"))
    assert newest() == {"wine": (0, b"1")}
    assert gate.checked == [b"1"]
    send(retirement())
    assert newest() == {"wine": None}


def test_activation_times_count(send: Send, newest: Newest) -> None:
    send(model(b"1"), model(b"2", activation_ms=NOW_MS), model(b"3", activation_ms=NOW_MS + 1))
    assert newest() == {"wine": (1, b"2")}


def test_what_was_decided_last_is_known(send: Send, broker: LocalBroker, topics: Topics, judge: Admission) -> None:
    send(model(b"1"), retirement("absent"), model(b"2", "beer"))
    models = newest_models(broker.bootstrap_servers, topics.models, judge)
    assert {name: newest.decided for name, newest in models.items()} == {"wine": 1, "beer": 2}


def test_a_message_by_its_offset(send: Send, broker: LocalBroker, topics: Topics) -> None:
    send(model(b"1"), None, model(b"2"), model(b"3"))
    delete_before(broker, topics, 1)
    found = [message_at(broker.bootstrap_servers, topics.models, offset) for offset in (2, 1)]
    assert found == [model(b"2"), None]


def test_large_models(send: Send, newest: Newest) -> None:
    size = 5 * 1024 * 1024
    large = [letter * size for letter in (b"a", b"b", b"c")]
    send(*(model(data) for data in large), model(b"bad" + bytes(size)))
    assert newest() == {"wine": (2, large[2])}


def test_threads_share_one_read(
    send: Send, broker: LocalBroker, topics: Topics, gate: FakeGate, judge: Admission
) -> None:
    send(model(b"1"), model(b"2", "beer"))
    threads = 8
    together = threading.Barrier(threads)

    def read(_: int) -> dict[str, NewestModel]:
        together.wait(30)
        return newest_models_once(broker.bootstrap_servers, topics.models, judge)

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(read, range(threads)))
    assert offsets_and_data(answers[0]) == {"wine": (0, b"1"), "beer": (1, b"2")}
    assert all(answer is answers[0] for answer in answers)
    assert sorted(gate.checked) == [b"1", b"2"]
    send(model(b"3"))
    assert newest_models_once(broker.bootstrap_servers, topics.models, judge) is answers[0]


def test_no_broker(topics: Topics, judge: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_log, "READ_TIMEOUT_MS", 1_000)
    with pytest.raises(BrokerError, match=topics.models):
        newest_models(f"127.0.0.1:{free_port()}", topics.models, judge)
