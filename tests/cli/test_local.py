"""`modelserving local`: up, status and down of a broker of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from modelserving.cli.main import main
from modelserving.local.broker import LocalBroker, free_port
from modelserving.topics import Topics


def local(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["local", *map(str, arguments)])


@pytest.mark.usefixtures("kafka_ready")
def test_up_status_down(tmp_path: Path) -> None:
    port = free_port()
    try:
        up = local("up", "--dir", tmp_path, "--port", port, "--partitions", 3, "--topic-prefix", "a-")
        assert up.exit_code == 0, up.output
        pid = LocalBroker(tmp_path, port).pid
        first_line = f"broker at 127.0.0.1:{port}, pid {pid}, folder {tmp_path}\n"
        assert up.stdout == first_line
        again = local("up", "--dir", tmp_path, "--port", port, "--topic-prefix", "a-")
        assert again.stdout == first_line
        status = local("status", "--dir", tmp_path)
        assert status.stdout == (
            f"{first_line}  a-decisions: 3 partitions\n  a-late-answers: 3 partitions\n"
            "  a-model-events: 3 partitions\n  a-models: 1 partition\n  a-records: 3 partitions\n"
            "  a-rejected-models: 3 partitions\n  a-rejected-records: 3 partitions\n  a-results: 3 partitions\n"
            "  a-serving-stats: 3 partitions\n  a-speculative-control: 1 partition\n"
        )
        wrong = local("down", "--dir", tmp_path, "--port", port + 1)
        assert (wrong.exit_code, LocalBroker(tmp_path, port).pid) == (1, pid)
        assert wrong.stderr.startswith(f"Error: the broker of {tmp_path} has port {port}, not {port + 1}: ")
        down = local("down", "--dir", tmp_path, "--port", port)
        assert (down.exit_code, down.stdout) == (0, f"broker at 127.0.0.1:{port} stopped\n")
        assert LocalBroker(tmp_path, port).pid is None
    finally:
        LocalBroker(tmp_path, port).stop()


def test_without_a_broker(tmp_path: Path) -> None:
    down = local("down", "--dir", tmp_path)
    assert (down.exit_code, down.stdout) == (0, f"no broker runs in {tmp_path}\n")
    status = local("status", "--dir", tmp_path)
    assert status.exit_code == 1
    assert status.stderr == f"Error: no broker runs in {tmp_path}: start it with `modelserving local up`\n"


def test_port_in_use_is_one_line(broker: LocalBroker, tmp_path: Path, topics: Topics) -> None:
    done = local("up", "--dir", tmp_path, "--port", broker.port, "--topic-prefix", topics.prefix)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: port {broker.port} cannot be used (")
    assert len(done.stderr.splitlines()) == 1
