"""A JVM for tests that look into Flink's jars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from py4j.java_gateway import JavaGateway

from modelserving.local.jars import java


def flink_home() -> Path:
    """Flink's folder in the pip package."""
    package = find_spec("pyflink")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent


@contextmanager
def jvm(*folders: Path) -> Iterator[Any]:
    """The gateway to a JVM that has all jars of these folders on its class path."""
    classpath = os.pathsep.join(str(folder / "*") for folder in folders)
    gateway = JavaGateway.launch_gateway(classpath=classpath, die_on_exit=True, java_path=java())
    try:
        yield gateway
    finally:
        gateway.shutdown()
