"""The probe: a small batch that a model has to answer before it serves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from modelserving.arrow import ARROW_TYPES
from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.servable import Domain, Servable

ROWS = 48
"""Of a generated batch."""

MODERATE = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Numbers for an input of which nothing is known: positive, since a model may take a logarithm or divide; small,
since it may take an exponential."""

CATEGORIES = ("a", "b")


def probe_batch(data_type: DataType, servable: Servable) -> pa.RecordBatch:
    """The samples of the data type if it has any, else `ROWS` rows over the model's own domain.

    Returns:
        All features of the data type as columns, as `arrow.ARROW_TYPES` has them; the same rows at each call.
    """
    columns = [
        pa.array(_column(position, feature, data_type, servable), ARROW_TYPES[feature.kind])
        for position, feature in enumerate(data_type.features)
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(data_type.feature_names))


def _column(position: int, feature: Feature, data_type: DataType, servable: Servable) -> Sequence[float | str | None]:
    if data_type.samples:
        return [sample[position] for sample in data_type.samples]
    domain = servable.domain.get(feature.name, Domain())
    known: Sequence[float] | Sequence[str] = (
        domain.numbers or MODERATE if feature.kind is FeatureKind.NUMBER else domain.categories or CATEGORIES
    )
    # As many different values as fit, each as often as the others, in another order in each column: so the columns'
    # values meet in many combinations.
    chosen = np.linspace(0, len(known) - 1, min(len(known), ROWS)).round().astype(int)
    order = np.random.default_rng(position).permutation(ROWS)
    return [known[chosen[index % len(chosen)]] for index in order]
