"""The lock files: complete, without addresses, one telling what the other does, and importable.

That they are current is `make check`'s to tell, since it takes a package index.
"""

from __future__ import annotations

import re
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MLSERVER = "bench/mlserver/requirements.txt"
LOCKS = ["requirements.txt", "requirements-dev.txt", MLSERVER]


def entries(name: str) -> dict[str, tuple[str, list[str]]]:
    """Package → its version and hashes."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.M).replace("\\\n", "")
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        pin = re.match(r"([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==([^\s;]+)", line)
        assert pin, f"{name}: no pin in {line[:80]!r}"
        assert pin[1] not in found, f"{name}: {pin[1]} is there twice"
        found[pin[1]] = (pin[2], re.findall(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)", line))
    return found


def direct_dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return [re.split(r"[^a-z0-9-]", requirement)[0] for requirement in requirements]


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes(name: str) -> None:
    assert [package for package, (_, hashes) in entries(name).items() if not hashes] == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_addresses(name: str) -> None:
    assert re.findall(r"(?:\w+://|--(?:extra-)?index-url|--find-links|@ ).*", (ROOT / name).read_text()) == []


def test_both_locks_pin_the_same() -> None:
    development = {package: version for package, (version, _) in entries("requirements-dev.txt").items()}
    runtime = {package: version for package, (version, _) in entries("requirements.txt").items()}
    assert runtime.items() <= development.items()


def test_mlserver_serves_the_forest_that_we_do() -> None:
    assert entries(MLSERVER)["scikit-learn"][0] == entries("requirements-dev.txt")["scikit-learn"][0]


def test_installed_is_what_is_locked() -> None:
    locked = {package: version for package, (version, _) in entries("requirements-dev.txt").items()}
    assert {package: metadata.version(package) for package in direct_dependencies()} == {
        package: locked[package] for package in direct_dependencies()
    }


@pytest.mark.parametrize("package", direct_dependencies())
def test_direct_dependency_imports(package: str) -> None:
    modules = [
        module
        for module, packages in metadata.packages_distributions().items()
        if package in {re.sub(r"[-_.]+", "-", name).lower() for name in packages}
    ]
    importable = [module for module in modules if module.isidentifier() and not module.startswith("_")]
    if package.startswith("types-"):
        assert importable == []  # stubs: for mypy alone
    else:
        assert importable, f"{package} brings no module"
        main = next((module for module in importable if module == package.replace("-", "_")), importable[0])
        import_module(main)
