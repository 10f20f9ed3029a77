"""Samples in the configuration of data types: what is read, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from modelserving.data_types import DataTypes
from modelserving.errors import ConfigurationError
from modelserving.samples import MAX_ROWS
from tests.core.cases import TICKETS, load_text


def load_sampled(folder: Path, samples: bytes) -> DataTypes:
    """The data type ticket, with these samples."""
    (folder / "tickets.csv").write_bytes(samples)
    return load_text(f'{TICKETS}samples = "tickets.csv"\n', folder)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("amount,product,age\n3.5,ticket,41\n1e3,Zürich,\n", id="as the features are"),
        pytest.param("product,age,amount\nticket,41,3.5\nZürich,,1000\n", id="in another order"),
        pytest.param('product,age,amount\r\n"ticket","41","3.5"\r\nZürich,,1000', id="quoted, with other line ends"),
        pytest.param("\ufeffamount,product,age\n\n3.5,ticket,41\n1e3,Zürich,\n\n", id="with a mark, and empty lines"),
    ],
)
def test_read(text: str, tmp_path: Path) -> None:
    data_types = load_sampled(tmp_path, text.encode())
    assert data_types["ticket"].samples == ((3.5, "ticket", 41.0), (1000.0, "Zürich", None))
    assert pickle.loads(pickle.dumps(data_types)) == data_types  # noqa: S301


def test_an_optional_feature_may_be_left_out(tmp_path: Path) -> None:
    assert load_sampled(tmp_path, b"amount,product\n1,a\n")["ticket"].samples == ((1.0, "a", None),)


def test_none_by_default(tmp_path: Path) -> None:
    assert load_text(TICKETS, tmp_path)["ticket"].samples == ()


REFUSED = {
    "empty file": (b"", "holds no sample"),
    "header alone": (b"amount,product,age\n", "holds no sample"),
    "too many": (b"amount,product\n" + b"1,a\n" * (MAX_ROWS + 1), f"holds {MAX_ROWS + 1} samples; keep the {MAX_ROWS}"),
    "unknown column": (b"amount,product,colour\n1,a,red\n", "column 'colour' is no feature; use amount, product, age"),
    "no header": (b"1,a,41\n2,b,42\n", "column '1' is no feature"),
    "another separator": (b"amount;product;age\n1;a;41\n", "column 'amount;product;age' is no feature"),
    "column twice": (b"amount,product,amount\n1,a,2\n", "column 'amount' is there twice"),
    "required feature left out": (b"amount,age\n1,41\n", "column 'product' is missing"),
    "required feature empty": (b"amount,product\n1,a\n,b\n", "line 3, 'amount': is empty"),
    "text for a number": (b"amount,product\nmany,a\n", "line 2, 'amount': 'many' is not a finite number"),
    "NaN": (b"amount,product\nNaN,a\n", "'amount': 'NaN' is not a finite number"),
    "infinite": (b"amount,product\n1e999,a\n", "'amount': '1e999' is not a finite number"),
    "cell too few": (b"amount,product,age\n1,a\n", "line 2 has 2 cells, but the header has 3"),
    "cell too many": (b"amount,product\n1,a,3\n", "line 2 has 3 cells, but the header has 2"),
    "not UTF-8": (b"amount,product\n1,Z\xfcrich\n", "is not a CSV file in UTF-8"),
    "quote that never ends": (b'amount,product\n1,"a\n', "is not a CSV file in UTF-8"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_sampled(tmp_path, data)
    place = f"{tmp_path / 'types.toml'}: data_types.ticket.samples: {tmp_path / 'tickets.csv'}"
    assert str(caught.value).startswith(place)


def test_file_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"data_types.ticket.samples: .*no\.csv cannot be read"):
        load_text(f'{TICKETS}samples = "no.csv"\n', tmp_path)


def test_file_name_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"data_types\.ticket\.samples: must be a string"):
        load_text(f"{TICKETS}samples = 1\n", tmp_path)
