"""Where the jars and the Java program are that the project runs with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from modelserving.errors import ConfigurationError

CHECKOUT_JARS = Path(__file__).resolve().parents[2] / "jars"


def jars_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of jars `name` ("kafka" or "flink"): in `MODELSERVING_JARS`, else in `jars/` of the checkout.

    Raises:
        ConfigurationError: there are no jars in it.
    """
    folder = Path(environment.get("MODELSERVING_JARS") or CHECKOUT_JARS).resolve() / name
    if not any(folder.glob("*.jar")):
        raise ConfigurationError(f"no jars in {folder}: run `make setup`, or set MODELSERVING_JARS to their folder")
    return folder


def java(environment: Mapping[str, str] = os.environ) -> str:
    """The path of the `java` program: in `JAVA_HOME`, else on `PATH`.

    Raises:
        ConfigurationError: there is none.
    """
    home = environment.get("JAVA_HOME")
    search = str(Path(home) / "bin") if home else environment.get("PATH", "")
    found = shutil.which("java", path=search)
    if found is None:
        where = f"JAVA_HOME ({home})" if home else "PATH"
        raise ConfigurationError(f"no java in {where}: install a JDK 17 and put it on PATH, or set JAVA_HOME")
    return found
