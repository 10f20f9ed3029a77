"""Cluster settings, image, compose file and manifest: Flink's own keys, the lock's versions, the job's options."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from jobs.model_serving import main as job
from jobs.speculative_serving import main as speculative_job
from modelserving import topics as kafka_topics
from modelserving.cli.main import main as modelserving
from modelserving.local.broker import LocalBroker
from modelserving.topics import MAX_REJECTED_BYTES, Topics
from tests.jvm import flink_home, jvm
from tests.query.cases import client_of, service_of
from tests.test_lock import entries

ROOT = Path(__file__).parents[1]
JOBS = {"jobs/model_serving.py": job, "jobs/speculative_serving.py": speculative_job}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "flink-conf" / "config.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
COMPOSE_SETTINGS: dict[str, Any] = yaml.safe_load(COMPOSE["services"]["jobmanager"]["environment"]["FLINK_PROPERTIES"])
DEPLOYMENT, CLAIM = yaml.safe_load_all((ROOT / "deploy" / "flink-deployment.yaml").read_text())
POM = (ROOT / "jars" / "pom.xml").read_text()
FLINK = entries("requirements.txt")["apache-flink"][0]
# What the operator sets by itself, or its `resource` says.
OPERATORS_OWN = re.compile(
    r"resourcemanager\.standalone\..*|.*(address|host)|.*memory\.process\.size|parallelism\.default"
)


@pytest.fixture(scope="module")
def flink(flink_ready: None) -> Iterator[Any]:  # noqa: ARG001
    """A JVM with all of Flink's jars on its class path."""
    with jvm(flink_home() / "lib", flink_home() / "opt") as gateway:
        yield gateway.jvm


@pytest.fixture(scope="module")
def options(flink: Any) -> dict[str, Any]:
    """Key → ConfigOption, of every option that Flink declares."""
    option = flink.java.lang.Class.forName("org.apache.flink.configuration.ConfigOption")
    found = {}
    for name in option_classes():
        for field in flink.java.lang.Class.forName(name).getFields():
            if field.getType().equals(option):
                declared = field.get(None)
                found[declared.key()] = declared
    return found


def option_classes() -> list[str]:
    names = []
    for jar in (f"lib/flink-dist-{FLINK}.jar", f"opt/flink-python-{FLINK}.jar"):
        with zipfile.ZipFile(flink_home() / jar) as archive:
            names += [
                name for name in archive.namelist() if re.fullmatch(r"org/apache/flink/[^$]*Options\.class", name)
            ]
    return [name.removesuffix(".class").replace("/", ".") for name in names if "shaded" not in name]


def pom_version(name: str) -> str:
    found = re.search(rf"<{re.escape(name)}>([^<]+)</", POM)
    assert found
    return found[1]


# --- Settings


def of_options(settings: dict[str, Any]) -> set[str]:
    """The keys but those of metric reporters, which are named by whoever sets them."""
    return {key for key in settings if not key.startswith("metrics.reporter.")}


def test_the_metric_reporter_is_one_that_flink_brings() -> None:
    name = COMPOSE_SETTINGS["metrics.reporter.prom.factory.class"].replace(".", "/") + ".class"
    (jar,) = (flink_home() / "plugins" / "metrics-prometheus").glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        assert name in archive.namelist()


def test_flink_knows_every_setting_and_reads_its_value(flink: Any, options: dict[str, Any]) -> None:
    loaded = flink.org.apache.flink.configuration.GlobalConfiguration.loadConfiguration(str(ROOT / "flink-conf"))
    assert set(loaded.toMap()) == set(SETTINGS)
    assert of_options(SETTINGS) <= set(options)
    for key in of_options(SETTINGS):
        assert loaded.get(options[key]) is not None, key


def test_flink_reads_the_manifests_settings(flink: Any, options: dict[str, Any]) -> None:
    settings = DEPLOYMENT["spec"]["flinkConfiguration"]
    assert of_options(settings) <= set(options)
    configuration = flink.org.apache.flink.configuration.Configuration()
    for key, value in settings.items():
        assert isinstance(value, str), f"{key}: the operator takes text only"
        configuration.setString(key, value)
        assert key not in options or configuration.get(options[key]) is not None, key


def test_an_unknown_setting_would_be_noticed(options: dict[str, Any]) -> None:
    assert "execution.checkpointing.interval" in options
    assert not {"execution.checkpointing.intervall", "state.backend", "akka.ask.timeout"} & set(options)


def test_the_manifest_says_what_the_configuration_says() -> None:
    settings = DEPLOYMENT["spec"]["flinkConfiguration"]
    ours = {key: text(value) for key, value in SETTINGS.items() if not OPERATORS_OWN.fullmatch(key)}
    theirs = {key: value for key, value in settings.items() if key in ours}
    python = {"python.executable": "/opt/venv/bin/python", "python.client.executable": "/opt/venv/bin/python"}
    assert theirs == ours | python
    for process in ("jobManager", "taskManager"):
        memory = DEPLOYMENT["spec"][process]["resource"]["memory"]
        assert memory == SETTINGS[f"{process.lower()}.memory.process.size"]


def test_every_setting_is_explained() -> None:
    rows = dict(re.findall(r"^\| `([a-zA-Z.-]+)` \| `([^`]*)` \| .+ \|$", OPERATIONS, flags=re.M))
    explained = {key: value for key, value in rows.items() if key in SETTINGS}
    addresses = re.compile(r".*(address|host)|env\.java\.opts\.all")
    assert explained == {key: text(value) for key, value in SETTINGS.items() if not addresses.fullmatch(key)}


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- Versions


def test_image_has_the_locked_versions() -> None:
    assert re.findall(r"^FROM flink:(\S+)-java17 AS flink$", DOCKERFILE, flags=re.M) == [FLINK]
    assert set(re.findall(r"flink-python-([\d.]+)\.jar", DOCKERFILE)) == {FLINK}
    assert set(re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, flags=re.M)) == {"3.11"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.12"
    assert "--require-hashes -r requirements.txt" in DOCKERFILE
    # The connector comes with the pom, so in its version.
    assert "jars/pom.xml package" in DOCKERFILE
    assert pom_version("flink.version") == FLINK


def test_manifest_has_the_locked_version() -> None:
    spec = DEPLOYMENT["spec"]
    major, minor, _ = FLINK.split(".")
    assert spec["flinkVersion"] == f"v{major}_{minor}"
    assert spec["job"]["jarURI"] == f"local:///opt/flink/opt/flink-python-{FLINK}.jar"


def test_broker_has_the_version_that_tests_run_with() -> None:
    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{pom_version('kafka.version')}"


def test_images_are_official_ones() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.M)
    images += [service["image"] for service in COMPOSE["services"].values() if not service.get("build")]
    assert images
    for image in images:
        assert re.fullmatch(r"(flink|python|maven|apache/kafka|prom/prometheus|grafana/grafana):[\w.-]+", image), image


# --- Image


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [
        source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.M) for source in paths(line)
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(entry) for entry in kept), source
    assert all((ROOT / entry).exists() for entry in kept)


def paths(copy: str) -> list[str]:
    return [word for word in copy.split() if not word.startswith("--")][:-1]


def test_image_does_not_run_as_root() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.findall(r"^USER (\w+)$", final, flags=re.M) == ["flink"]


def test_image_addresses_are_not_the_loopback_interface(tmp_path: Path) -> None:
    shutil.copy(ROOT / "flink-conf" / "config.yaml", tmp_path)
    edit = re.search(r"^RUN (sed .+\\\n\s+)/opt/flink/conf/config\.yaml", DOCKERFILE, flags=re.M)
    assert edit
    subprocess.run(["bash", "-c", f"{edit[1]} {tmp_path}/config.yaml"], check=True)
    edited = yaml.safe_load((tmp_path / "config.yaml").read_text())
    addresses = {key: value for key, value in edited.items() if re.fullmatch(r".*(address|host)", key)}
    # The two that are left are those that compose sets.
    assert {key for key, value in addresses.items() if value == "localhost"} == {
        "jobmanager.rpc.address",
        "rest.address",
    }
    assert {value for key, value in addresses.items() if "bind" in key} == {"0.0.0.0"}  # noqa: S104
    assert {key: edited[key] for key in SETTINGS if key not in addresses and key != "taskmanager.host"} == {
        key: value for key, value in SETTINGS.items() if key not in addresses and key != "taskmanager.host"
    }


# --- Arguments of the job


def interpolated(value: str) -> str:
    """What compose makes of `${NAME:-default}` and `${NAME:+replacement}` if no variable is set."""
    pattern = re.compile(r"\$\{\w+:([-+])([^${}]*)\}")
    while pattern.search(value):
        value = pattern.sub(lambda found: found[2] if found[1] == "-" else "", value)
    return value


def parsed(arguments: list[str]) -> dict[str, Any]:
    """The job's options; a usage error fails the test."""
    return job.make_context("model_serving.py", arguments).params


def test_compose_submits_with_arguments_that_the_job_takes() -> None:
    command = shlex.split(interpolated(COMPOSE["services"]["submit"]["command"]))
    assert command[:3] == ["flink", "run", "--detached"]
    script = command.index("--python") + 1
    assert (ROOT / command[script]).is_file()
    assert parsed(command[script + 1 :])["join"] == "partitioned"


def test_manifest_submits_with_arguments_that_the_job_takes() -> None:
    arguments = DEPLOYMENT["spec"]["job"]["args"]
    script = arguments.index("--python") + 1
    assert (ROOT / Path(arguments[script]).relative_to("/opt/modelserving")).is_file()
    assert parsed(arguments[script + 1 :])["join"] == "partitioned"


def test_manifest_keeps_state_on_the_claim() -> None:
    spec = DEPLOYMENT["spec"]
    pod = spec["podTemplate"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    mount = f"file://{pod['containers'][0]['volumeMounts'][0]['mountPath']}/"
    settings = spec["flinkConfiguration"]
    for key in ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir", "high-availability.storageDir"):
        assert settings[key].startswith(mount), key
    assert spec["job"]["upgradeMode"] == "savepoint"


# --- Compose


def test_compose_services_are_the_documented_ones() -> None:
    section = OPERATIONS.split("\n## With containers\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.M)) == set(COMPOSE["services"])


def test_compose_restarts_what_runs_and_not_what_ends() -> None:
    policies = {name: service["restart"] for name, service in COMPOSE["services"].items()}
    assert {name for name, policy in policies.items() if policy == "no"} == {"topics", "submit"}
    assert {policy for name, policy in policies.items() if name not in {"topics", "submit"}} == {"unless-stopped"}


def test_compose_keeps_state_and_messages() -> None:
    for name in ("jobmanager", "taskmanager", "submit"):
        assert COMPOSE["services"][name]["volumes"] == ["flink-state:/var/lib/flink"]
    assert set(COMPOSE["volumes"]) == {"flink-state", "kafka-data", "prometheus-data"}


def test_compose_broker_takes_the_largest_message() -> None:
    environment = COMPOSE["services"]["kafka"]["environment"]
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) == MAX_REJECTED_BYTES
    assert int(environment["KAFKA_REPLICA_FETCH_MAX_BYTES"]) == MAX_REJECTED_BYTES


def test_compose_creates_the_topics(broker: LocalBroker) -> None:
    prefix = "deployed-"
    command = [interpolated(word) for word in COMPOSE["services"]["topics"]["command"]]
    environment = {"MODELSERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "MODELSERVING_TOPIC_PREFIX": prefix}
    subprocess.run([sys.executable, *command[1:]], env=os.environ | environment, check=True, timeout=60)
    kafka_topics.check(broker.bootstrap_servers, Topics(prefix))


def test_docker_takes_the_compose_file() -> None:
    if shutil.which("docker") is None or _docker_compose("version").returncode:
        pytest.skip("docker compose is not installed, so the compose file is not checked by it")
    done = _docker_compose("--profile", "submit", "--profile", "watch", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "level=warning" not in done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(COMPOSE["services"])
    command = services["submit"]["command"]
    assert parsed(command[command.index("--python") + 2 :])["join"] == "partitioned"
    savepoint = "file:///var/lib/flink/savepoints/savepoint-1"
    restored = _docker_compose("--profile", "submit", "config", "--format", "json", SAVEPOINT=savepoint)
    command = json.loads(restored.stdout)["services"]["submit"]["command"]
    assert command[command.index("--fromSavepoint") + 1] == savepoint


def _docker_compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=False, capture_output=True, text=True)


# --- Metrics

DASHBOARD = ROOT / "deploy" / "grafana" / "provisioning" / "dashboards" / "modelserving.json"


def metric_names(text: str) -> set[str]:
    """The metrics that expressions ask for."""
    return set(re.findall(r"\b(?:modelserving|flink)_\w+", text))


def test_dashboard_and_alarms_ask_for_metrics_that_there_are() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = metric_names(json.dumps(dashboard)) | metric_names((ROOT / "deploy" / "alarms.yml").read_text())
    told = {metric for metric in asked if metric.startswith("modelserving_")}
    with client_of(service_of()) as client:
        exported = set(re.findall(r"^# TYPE (\w+) ", client.get("/metrics").text, flags=re.M))
    assert told <= exported
    joins = (ROOT / "modelserving" / "flink" / "metrics.py").read_text()
    admission = (ROOT / "modelserving" / "flink" / "admission.py").read_text()
    own = {name.removeprefix("flink_taskmanager_job_task_operator_") for name in asked if "operator" in name}
    assert own
    for name in own:
        assert f'"{name}"' in joins + admission, name


def test_prometheus_asks_the_services_of_the_compose_file() -> None:
    settings = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    flink, query = settings["scrape_configs"]
    assert set(flink["dns_sd_configs"][0]["names"]) <= set(COMPOSE["services"])
    assert COMPOSE_SETTINGS["metrics.reporter.prom.port"] == flink["dns_sd_configs"][0]["port"]
    (target,) = query["static_configs"][0]["targets"]
    assert target.split(":")[0] in COMPOSE["services"]


# --- Runbook


def commands() -> list[list[str]]:
    """The commands in the code blocks of the page, each as its words; pipes and substitutions taken apart."""
    blocks = re.findall(r"(?:^ {4,}\S.*\n)+", OPERATIONS, flags=re.M)
    found = []
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.strip(), posix=True, punctuation_chars="();|&<>")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, "|"]:
            if set(word) <= set("();|&<>"):
                found.append(command)
                command = []
            elif not (command == [] and re.match(r"\w+=", word)):
                command.append(word)
    return [command for command in found if command]


def test_runbook_names_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = [command[1] for command in commands() if command[0] == "make"]
    assert len(named) > 10
    assert set(named) <= targets
    flink = [word for command in commands() if command[:2] == ["make", "flink"] for word in command[2:]]
    actions = {word.removeprefix("ARGS=").split()[0] for word in flink}
    assert actions <= {"list", "stop", "cancel", "savepoint"}


def test_runbook_submits_with_arguments_that_the_job_takes() -> None:
    submitted = [command for command in commands() if command[:2] == ["make", "submit"]]
    assert submitted
    for command in submitted:
        variables = dict(word.split("=", 1) for word in command[2:])
        assert set(variables) <= {"ARGS", "PARALLELISM", "SAVEPOINT", "SCRIPT"}
        script = variables.get("SCRIPT", "jobs/model_serving.py")
        JOBS[script].make_context(script, shlex.split(variables.get("ARGS", "--join partitioned")))


def test_runbook_calls_modelserving_with_options_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    called = [command[1:] for command in commands() if command[0] == ".venv/bin/modelserving"]
    assert len(called) > 5
    for arguments in called:
        command: click.Command = modelserving
        rest = list(arguments)
        while isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        command.make_context(command.name, rest)
