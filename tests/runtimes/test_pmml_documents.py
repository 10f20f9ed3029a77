"""PMML documents that must not load, each for its reason and without side effect."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from modelserving.errors import ModelRejected
from modelserving.loader import load
from modelserving.runtimes.pmml_document import MAX_DEPTH, parse
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_samples import (
    AGE,
    AMOUNT,
    CHOICE,
    HIGH,
    LOW,
    SHOP,
    TOTAL,
    constant,
    descriptor,
    document,
    linear,
    stump,
)

GOOD = document(linear("age"), AMOUNT, AGE)


def rejected(data: bytes, **fields: object) -> ModelRejected:
    with pytest.raises(ModelRejected) as caught:
        load(descriptor(data, **fields), SHOP)
    return caught.value


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        pytest.param(document("", AMOUNT, AGE), "found none", id="no model"),
        pytest.param(document(linear("age") * 2, AMOUNT, AGE), "one model", id="two models"),
        pytest.param(GOOD.replace(b"RegressionModel", b"OracleModel"), "OracleModel", id="unknown model element"),
        pytest.param(GOOD.replace(b"<RegressionTable", b"<Oracle/><RegressionTable"), "Oracle", id="unknown element"),
        pytest.param(
            document(linear("age", "height"), AMOUNT, AGE, AGE.replace("age", "height")),
            "'height'",
            id="field that the data type lacks",
        ),
        pytest.param(document(linear("age"), AMOUNT), "'age' is not in the data dictionary", id="undeclared field"),
        pytest.param(
            document(linear("colour"), AMOUNT, AGE.replace("age", "colour")), "is a string", id="number for a string"
        ),
        pytest.param(
            document(linear("age"), AMOUNT, AGE.replace("double", "string")), "is a number", id="string for a number"
        ),
        pytest.param(b"", "not well-formed", id="empty"),
        pytest.param(b"\x08\x01\x12\x03abc", "not well-formed", id="not XML"),
        pytest.param(b"PK\x03\x04", "not well-formed", id="zip"),
        pytest.param(GOOD[: len(GOOD) // 2], "not well-formed", id="truncated"),
        pytest.param(b"<html/>", "'html', not PMML", id="other XML"),
        pytest.param(GOOD.replace(b'"regression"', b'"clustering"'), "clustering", id="another function"),
        pytest.param(GOOD.replace(b'coefficient="2"', b'coefficient="two"'), "PMML4S", id="coefficient not a number"),
        pytest.param(
            document(linear('age" missingValueReplacement="old'), AMOUNT, AGE), "'old'", id="replacement not a number"
        ),
        pytest.param(
            document(stump(LOW.replace('"3"', '"x"'), HIGH, "age"), CHOICE, AGE), "recordCount", id="count not a number"
        ),
        pytest.param(
            document(constant("yes").replace('score="yes"', ""), CHOICE.split(">")[0] + "/>", AGE),
            "no classes",
            id="no classes",
        ),
    ],
)
def test_unloadable(data: bytes, detail: str) -> None:
    error = rejected(data)
    assert error.reason == Reason.UNLOADABLE
    assert detail in error.detail


def test_inputs_of_the_descriptor_must_be_the_models() -> None:
    data = document(linear("age", "Basket total"), AMOUNT, AGE, TOTAL)
    load(descriptor(data, inputs=["basket_total", "age"]), SHOP).close()
    error = rejected(data, inputs=["age", "colour"])
    assert error.reason == Reason.UNLOADABLE
    assert "basket_total" in error.detail
    assert "colour" in error.detail


def with_doctype(doctype: str, content: str) -> bytes:
    text = GOOD.decode().replace("<Header/>", f'<Header description="d">{content}</Header>')
    return f'<?xml version="1.0"?><!DOCTYPE PMML [{doctype}]>{text}'.encode()


EXPANSION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))
DEEP = 100_000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(with_doctype('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"), id="external entity: file"),
        pytest.param(with_doctype('<!ENTITY x SYSTEM "http://127.0.0.1:9/">', "&x;"), id="external entity: address"),
        pytest.param(with_doctype('<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;', ""), id="parameter entity"),
        pytest.param(with_doctype(EXPANSION, "&e9;"), id="entity expansion"),
        pytest.param(with_doctype("", ""), id="document type"),
        pytest.param(
            with_doctype('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;").decode().encode("utf-16"),
            id="UTF-16 disguise",
        ),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-7"?>+ADw-!DOCTYPE PMML SYSTEM +ACI-file:///etc/passwd+ACIAPg-' + GOOD,
            id="UTF-7 disguise",
        ),
        pytest.param(b'<?xml version="1.0" encoding="no-such"?>' + GOOD, id="unknown encoding"),
        pytest.param(
            document(
                constant("yes").replace(
                    "<True/>",
                    '<CompoundPredicate booleanOperator="and">' * DEEP + "<True/>" + "</CompoundPredicate>" * DEEP,
                ),
                CHOICE,
                AGE,
            ),
            id="predicates nested 100,000 deep",
        ),
    ],
)
def test_unsafe(data: bytes) -> None:
    assert rejected(data).reason == Reason.UNSAFE


def test_no_address_in_a_document_is_called() -> None:
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/model"
            for data in (
                with_doctype(f'<!ENTITY x SYSTEM "{address}">', "&x;"),
                f'<!DOCTYPE PMML SYSTEM "{address}">'.encode() + GOOD,
            ):
                assert rejected(data).reason == Reason.UNSAFE
        finally:
            server.shutdown()
            thread.join()
    assert calls == []


def test_a_models_bytes_are_never_taken_for_a_path(tmp_path: Path) -> None:
    path = tmp_path / "model.pmml"
    path.write_bytes(GOOD)
    assert rejected(str(path).encode()).reason == Reason.UNLOADABLE


def test_deepest_accepted_document_loads() -> None:
    """The limit itself is within what the parser, the writer and PMML4S can take."""
    around = 6  # PMML, TreeModel, Node and so on
    count = MAX_DEPTH - around
    nested = '<CompoundPredicate booleanOperator="and"><True/>' * count + "<True/>" + "</CompoundPredicate>" * count
    load(descriptor(document(constant("yes").replace("<True/>", nested), CHOICE, AGE)), SHOP).close()


def test_extensions_are_dropped() -> None:
    data = GOOD.replace(b"<Header/>", b'<Header><Extension name="x"><Anything/></Extension></Header>')
    assert parse(data).root.find("Header/Extension") is None
    load(descriptor(data), SHOP).close()
