"""What the tests of speculative serving share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.speculative.models import Model


@pytest.fixture
def hanging() -> Iterator[Model]:
    """A model that does not return before the test is over."""
    model = Model(held=True)
    yield model
    model.released.set()
