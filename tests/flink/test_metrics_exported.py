"""Flink's Prometheus reporter exports what the alarms and the dashboard ask for."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from tests.flink.cluster import submit
from tests.flink.flow import Flow, only
from tests.flink.jobs import ROOT
from tests.flink.messages import example_model
from tests.kafka_client import produce
from tests.waiting import wait_until

RECORDS = 100
ASKING = (ROOT / "deploy" / "alarms.yml", *(ROOT / "deploy" / "grafana").rglob("*.json"))
ONCE_IT_FAILED = "flink_taskmanager_job_task_operator_judgements_failed"
"""Counted where it happens first: tests of admission see that it is."""


def test_what_is_asked_for(
    flink_ready: None,  # noqa: ARG001
    broker: LocalBroker,
    topics: Topics,
    tmp_path: Path,
) -> None:
    asked = {name for file in ASKING for name in re.findall(r"\bflink_\w+", file.read_text())}
    assert ONCE_IT_FAILED in asked
    ports = free_port(), free_port()
    settings = {
        "jobmanager.rpc.port": str(free_port()),
        "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "metrics.reporter.prom.port": ",".join(map(str, ports)),
    }
    cluster = LocalCluster(tmp_path / "cluster", free_port(), settings)
    try:
        cluster.up()
        job = submit(cluster, broker.bootstrap_servers, topics, "partitioned", 1)
        produce(broker.bootstrap_servers, topics.models, [(None, example_model("linear.pmml", version="1"))])
        flow = Flow(broker.bootstrap_servers, topics, ["wine"])
        assert flow.models(flow.send(RECORDS)) == only({"wine": ("linear", "1")})
        flow.close()

        def exported() -> dict[str, float]:
            lines = "".join(page(port) for port in ports)
            return {name: float(value) for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", lines, flags=re.M)}

        wanted = asked - {ONCE_IT_FAILED}
        wait_until(lambda: wanted <= exported().keys(), describe=lambda: f"without {wanted - exported().keys()}")
        served = "flink_taskmanager_job_task_operator_records_served"
        wait_until(lambda: exported()[served] == RECORDS, describe=lambda: f"{exported()[served]} served")
        cluster.flink("cancel", job)
    finally:
        cluster.down()


def page(port: int) -> str:
    """What a reporter answers."""
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=10) as response:
        return str(response.read().decode())
