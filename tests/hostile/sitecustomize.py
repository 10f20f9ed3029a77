"""Models that misbehave on purpose, in every Python process that has this folder on PYTHONPATH.

`modelserving.loader.load` then looks at how a model's bytes begin:

- `HANG`: it never returns
- `EAT`: it takes ever more memory
- `KILL`: it ends its process, by the signal that follows (`KILL 9`; SIGSEGV if there is none), or with the exit code
  that follows (`KILL exit 3`)
- `FORK PATH`: it leaves a process of its own behind, whose id it writes to the file PATH, and ends its process
- `SLOW`: it loads, but each batch takes two seconds

Each prints a line first. All other bytes are loaded as ever.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

LOADER = "modelserving.loader"
EATEN_AT_ONCE = 16 * 1024**2
EATEN_AT_MOST = 8 * 1024**3


class Slow:
    """Answers each row with 1, after two seconds."""

    inputs: tuple[str, ...] = ()
    domain: Mapping[str, Any] = {}
    engine = "slow"
    engine_reason = ""

    def score(self, batch: Any) -> Any:
        import numpy as np

        from modelserving.servable import Scores

        time.sleep(2)
        return Scores(batch.num_rows, numbers=np.ones(batch.num_rows))

    def close(self) -> None:
        """Nothing to free."""


def hang(_: bytes) -> None:
    while True:
        time.sleep(3600)


def eat(_: bytes) -> None:
    eaten = [b"\1" * EATEN_AT_ONCE for _ in range(EATEN_AT_MOST // EATEN_AT_ONCE)]
    raise AssertionError(f"nothing kept it from taking {len(eaten)} x {EATEN_AT_ONCE} bytes")


def kill(data: bytes) -> None:
    match data.split()[1:]:
        case [b"exit", code]:
            os._exit(int(code))
        case [number]:
            os.kill(os.getpid(), int(number))
        case _:
            os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()


def fork(data: bytes) -> None:
    child = os.fork()
    if child == 0:
        hang(data)
    Path(os.fsdecode(data.split()[1])).write_text(str(child), encoding="ascii")
    os._exit(0)


def slow(_: bytes) -> Slow:
    return Slow()


MISBEHAVIOUR = {b"HANG": hang, b"EAT": eat, b"KILL": kill, b"FORK": fork, b"SLOW": slow}


def patch(module: Any) -> None:
    """Have the loader look at the bytes first."""
    load = module.load

    def look_first(descriptor: Any, *others: Any) -> Any:
        for marker, misbehave in MISBEHAVIOUR.items():
            if descriptor.data.startswith(marker):
                print("the model misbehaves", flush=True)
                return misbehave(descriptor.data)
        return load(descriptor, *others)

    module.load = look_first


class Finder(importlib.abc.MetaPathFinder):
    """Finds the loader's module as ever, and has it patched once it is imported."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != LOADER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run: Any = spec.loader.exec_module

            def run_and_patch(module: ModuleType) -> None:
                run(module)
                patch(module)

            spec.loader.exec_module = run_and_patch  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder())
