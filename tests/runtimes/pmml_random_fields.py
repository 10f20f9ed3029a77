"""What random PMML models share: fields, values, targets."""

from __future__ import annotations

import random

NUMBERS = ("a", "b", "f", "n")
COLOURS = ("red", "blue", "light green")
CLASSES = ("yes", "no", "never")
GRID = (-1.5, -0.1, 0.0, 0.1, 0.3, 1.0, 1.7, 2.0, 3.0)


def schema(target: str | None, *extra: str) -> str:
    """A mining schema with all inputs."""
    own = "" if target is None else f'<MiningField name="{target}" usageType="target"/>'
    return (
        f"<MiningSchema>{own}"
        + "".join(f'<MiningField name="{name}"/>' for name in (*NUMBERS, "c", *extra))
        + "</MiningSchema>"
    )


def targets(chance: random.Random, classes: bool) -> str:
    """Sometimes a rescaling of a number."""
    if classes or chance.random() < 0.7:
        return ""
    cast = chance.choice(("", "", 'castInteger="round"', 'castInteger="floor"', 'castInteger="ceiling"'))
    return f'<Targets><Target field="number" rescaleFactor="1.5" rescaleConstant="-0.25" min="-4" {cast}/></Targets>'
