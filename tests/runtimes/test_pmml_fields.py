"""Values that a document names missing, invalid or valid, in texts that are none of the field's type."""

from __future__ import annotations

import pyarrow as pa
import pytest

from modelserving.errors import ModelRejected
from modelserving.loader import load
from modelserving.runtimes.pmml_document import InputField, parse
from modelserving.runtimes.pmml_fields import treated
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_samples import AGE, AMOUNT, SHOP, descriptor, document, linear, shop_batch

GIVEN = (1.0, -9.0, -1.0, None)


def marked(*values: tuple[str, str], data_type: str = "double") -> bytes:
    content = "".join(f'<Value value="{value}" property="{kind}"/>' for value, kind in values)
    age = AGE.replace("double", data_type).replace("/>", f">{content}</DataField>")
    return document(linear("age"), AMOUNT, age)


def field(data: bytes) -> InputField:
    (found,) = parse(data).inputs
    return found


@pytest.mark.parametrize("data_type", ["double", "float", "integer"])
def test_a_text_among_the_missing_or_invalid_values_of_a_number(data_type: str) -> None:
    """As in JPMML, no number has it, and the others that are named count."""
    data = marked(("N/A", "missing"), ("-9", "missing"), ("?", "invalid"), ("-1", "invalid"), data_type=data_type)
    column = treated(pa.array(GIVEN, pa.float64()), field(data))
    assert column.missing.tolist() == [False, True, False, True]
    assert column.failed.tolist() == [False, False, True, False]


def test_a_text_alone() -> None:
    column = treated(pa.array(GIVEN, pa.float64()), field(marked(("N/A", "missing"), ("?", "invalid"))))
    assert column.missing.tolist() == [False, False, False, True]
    assert not column.failed.any()


def test_a_model_with_such_a_text_loads() -> None:
    servable = load(descriptor(marked(("N/A", "missing"), ("-9", "missing"))), SHOP)
    scores = servable.score(shop_batch(GIVEN))
    servable.close()
    assert scores.numbers is not None
    assert scores.numbers[[0, 2]].tolist() == [3.0, -1.0]
    assert {failure.row: failure.reason for failure in scores.failures} == {
        1: Reason.MISSING_FEATURE,
        3: Reason.MISSING_FEATURE,
    }


def test_a_text_among_the_valid_values_of_a_number() -> None:
    with pytest.raises(ModelRejected, match="'N/A' of field 'age' is not of its type"):
        treated(pa.array(GIVEN, pa.float64()), field(marked(("1", "valid"), ("N/A", "valid"))))
