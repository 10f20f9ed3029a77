"""The peer MLServer: the client's messages and figures; and the server, where its environment has been made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import model_server
from bench.mlserver import environment
from bench.mlserver.figures import Answered, figures
from bench.mlserver.messages import AnswerError, raw_scores, raw_tensor, rest_request, rest_scores
from bench.mlserver.table import read_table

RECORDS = np.array([[7.4, 0.7], [7.8, 0.88], [11.2, 0.28]])


def test_rest_request() -> None:
    assert json.loads(rest_request(RECORDS)) == {
        "inputs": [{"name": "records", "shape": [3, 2], "datatype": "FP64", "data": [7.4, 0.7, 7.8, 0.88, 11.2, 0.28]}]
    }


def test_rest_scores() -> None:
    body = b'{"model_name":"forest","outputs":[{"name":"predict","shape":[2,1],"datatype":"INT64","data":[5,6]}]}'
    assert rest_scores(200, body) == [5, 6]


def test_an_error_is_told() -> None:
    with pytest.raises(AnswerError, match=r"status 404: .*not found"):
        rest_scores(404, b'{"error":"Model forest not found"}')


def test_raw_tensors() -> None:
    assert np.frombuffer(raw_tensor(RECORDS), "<f8").tolist() == RECORDS.ravel().tolist()
    assert raw_scores("INT64", (5).to_bytes(8, "little") + (6).to_bytes(8, "little")) == [5, 6]


def test_scores_of_another_type_are_none() -> None:
    with pytest.raises(AnswerError, match="FP64"):
        raw_scores("FP64", b"\0" * 8)


def test_figures_count_what_is_answered_after_the_warm_up() -> None:
    warm_up = [Answered(9.9, 5.0)]
    late = [Answered(12.0, 5.0)]
    measured = [Answered(10 + number / 50, number / 1000) for number in range(100)]
    assert figures([*warm_up, *measured, *late], 10.0, 2.0, 256) == {
        "records_per_s": 12800.0,
        "p50_ms": 49.5,
        "p99_ms": 98.01,
        "requests": 100,
    }


def test_no_answers_are_no_figures() -> None:
    with pytest.raises(ValueError, match="no request was answered in 2 s"):
        figures([Answered(9.9, 0.1)], 10.0, 2.0, 1)


def test_what_is_said_where_it_cannot_be_installed() -> None:
    line = environment.not_installed("error: Failed to fetch:\n  `mlserver`\n  Caused by: no route\n")
    assert line.startswith("MLServer cannot be installed: Failed to fetch: `mlserver` Caused by: no route; try again")
    assert "\n" not in line


def test_the_table() -> None:
    x, y = read_table()
    assert (x.shape, y.shape) == ((1599, 11), (1599,))
    assert (x[0, 0], x[0, 10], y[0]) == (7.4, 9.4, 5)


@pytest.mark.skipif(not environment.is_made(), reason="no MLServer here: python -m bench.model_server installs it")
def test_each_load_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_server, "WARM_UP_S", 0.5)
    measured = model_server.measure(1.0)
    assert {peer: list(loads) for peer, loads in measured.items()} == {
        "mlserver-rest": ["1", "32"],
        "mlserver-rest-adaptive": ["32"],
        "mlserver-rest-256": ["1", "32"],
        "mlserver-rest-tree": ["1", "32"],
        "mlserver-grpc": ["1", "32"],
        "mlserver-grpc-adaptive": ["32"],
        "mlserver-grpc-256": ["1", "32"],
        "mlserver-grpc-tree": ["1", "32"],
    }
    for loads in measured.values():
        for load in loads.values():
            assert load["records_per_s"] > 0
            assert 0 < load["p50_ms"] <= load["p99_ms"]
