"""The local broker: real processes, started, stopped, killed and refused."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from modelserving import topics as topics_module
from modelserving.errors import BrokerError, ConfigurationError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.jars import jars_folder, java
from modelserving.topics import Topics

pytestmark = pytest.mark.usefixtures("kafka_ready")


def write(broker: LocalBroker, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    producer.send(topic, value, partition=0).get(timeout=30)
    producer.close(timeout=5)


def read(broker: LocalBroker, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, isolation_level="read_committed")
    consumer.assign([partition])
    consumer.seek(partition, 0)
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    while len(values) < end:
        batch = consumer.poll(timeout_ms=30_000)
        assert batch, f"nothing in 30 s, after {len(values)} of {end} messages"
        values += [record.value for records in batch.values() for record in records]
    consumer.close()
    return values


def test_data_survive_an_orderly_end_and_a_crash(tmp_path: Path) -> None:
    # A name that neither a list of folders nor a properties file could hold.
    broker = LocalBroker(tmp_path / "a, b é", free_port())
    with broker:
        first = broker.pid
        topics_module.create(broker.bootstrap_servers, Topics(), 2)
        write(broker, "records", b"one")
        broker.stop()
        assert broker.pid is None
        broker.start()
        assert broker.pid not in (None, first)
        write(broker, "records", b"two")
        broker.kill()
        assert broker.pid is None
        broker.start()
        assert read(broker, "records") == [b"one", b"two"]
        topics_module.check(broker.bootstrap_servers, Topics())
    assert broker.pid is None


def test_start_finds_the_broker_that_runs(broker: LocalBroker) -> None:
    other = LocalBroker(broker.directory, broker.port)
    other.start()
    assert other.pid == broker.pid


def test_start_at_another_port_than_the_running_broker_is_refused(broker: LocalBroker) -> None:
    with pytest.raises(BrokerError, match=f"already runs, on port {broker.port}"):
        LocalBroker(broker.directory, free_port()).start()
    assert broker.pid is not None


def test_port_of_another_program_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} cannot be used .*: choose another one"):
            LocalBroker(tmp_path, port).start()
    assert list(tmp_path.iterdir()) == []


def test_recorded_process_that_is_another_program_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()", str(tmp_path / "server.properties")], stdin=-1)
    try:
        (tmp_path / "broker.pid").write_text(f"{other.pid}\n")
        broker = LocalBroker(tmp_path, free_port())
        assert broker.pid is None
        broker.stop()
        broker.kill()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_broker_that_another_program_started_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    start = (
        "import sys; from pathlib import Path; from modelserving.local.broker import LocalBroker;"
        "broker = LocalBroker(Path(sys.argv[1]), int(sys.argv[2])); broker.start(); print(broker.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, str(tmp_path), str(port)], check=True, capture_output=True, text=True
    )
    broker = LocalBroker(tmp_path, port)
    try:
        assert broker.pid == int(done.stdout)
        assert broker.running_port() == port
        process = psutil.Process(broker.pid)
        assert process.is_running()
    finally:
        broker.stop()
    # Without an init process above it, what has ended stays behind as a zombie.
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "broker.pid").exists()


def test_failed_start_shows_the_end_of_the_log_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=77\n")
    broker = LocalBroker(tmp_path, free_port())
    with pytest.raises(BrokerError, match=r"(?s)the broker ended while it started; its log ends:\n.*77"):
        broker.start()
    assert broker.pid is None


def test_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BrokerError, match="the broker's data folder cannot be made; its log ends:\n"):
        LocalBroker(tmp_path, free_port()).start()


@pytest.mark.parametrize("home", ["", "/nonexistent"], ids=["PATH", "JAVA_HOME"])
def test_missing_java_is_named(home: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no java in .*: install a JDK 17"):
        java({"JAVA_HOME": home, "PATH": str(tmp_path)})


def test_missing_jars_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no jars in .*kafka: run `make setup`"):
        jars_folder("kafka", {"MODELSERVING_JARS": str(tmp_path)})
