"""The command line of the Java peer, `bench/java-peer/`, which Maven builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from modelserving.local.jars import java

FOLDER = Path(__file__).resolve().parent / "java-peer"
JAR = FOLDER / "target" / "java-peer.jar"
# As Flink's scripts choose it: the collector of a TaskManager.
JVM_OPTIONS = ("-XX:+UseG1GC", "-Djava.awt.headless=true")


def build() -> None:
    """Build the peer, without the tests of its answers; nothing to do for Maven if it is built."""
    subprocess.run(["mvn", "-q", "-B", "-f", str(FOLDER / "pom.xml"), "package", "-DskipTests"], check=True)


def command(*options: str, jvm_options: tuple[str, ...] = JVM_OPTIONS) -> list[str]:
    """What starts the peer with `options`, on a Flink cluster inside its process."""
    # TensorFlow's libraries are unpacked there, once, and not in the home folder.
    cache = f"-Dorg.bytedeco.javacpp.cachedir={FOLDER / 'target' / 'javacpp'}"
    return [java(), *jvm_options, cache, "-jar", str(JAR), *options]
