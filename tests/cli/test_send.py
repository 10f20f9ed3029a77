"""`modelserving send` makes the messages that a data type's records are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelserving.cli.send import _paced
from modelserving.topics import Topics
from modelserving.wire.wine_pb2 import WineRecord
from tests.cli.conftest import ReadTopic, Run

ROW = "7.4;0.7;0;1.9;0.076;11;34;0.9978;3.51;0.56;9.4;5"
OTHER_ROW = "7.8;0.88;0;2.6;0.098;25;67;0.9968;3.2;0.68;9.8;5"
WINE = WineRecord(
    fixed_acidity=7.4,
    volatile_acidity=0.7,
    citric_acid=0,
    residual_sugar=1.9,
    chlorides=0.076,
    free_sulfur_dioxide=11,
    total_sulfur_dioxide=34,
    density=0.9978,
    pH=3.51,
    sulphates=0.56,
    alcohol=9.4,
    dataType="wine",
)
HOUSES = """
[data_types.house]
codec = "json"
route = { by = "key", value = "h" }
features = [
  { name = "area" },
  { name = "heating", kind = "string" },
  { name = "age", optional = true },
]
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def wines(messages: list[tuple[bytes | None, bytes]]) -> list[WineRecord]:
    records = [WineRecord.FromString(value) for _, value in messages]
    assert all(record.ts > 0 for record in records)
    for record in records:
        record.ClearField("ts")
    return sorted(records, key=lambda record: record.fixed_acidity)


@pytest.mark.parametrize(
    "text",
    [
        ROW,
        ROW.replace(";", ","),
        ROW.replace(";", "\t"),
        ROW.removesuffix(";5"),
        f"\ufeff{ROW}\r\n\r\n",
        '"fixed acidity";"volatile acidity";"citric acid";"residual sugar";"chlorides";"free sulfur dioxide";'
        f'"total sulfur dioxide";"density";"pH";"sulphates";"alcohol";"quality"\n{ROW}\n',
        "alcohol,sulphates,ph,density,total_sulfur_dioxide,free_sulfur_dioxide,chlorides,residual_sugar,citric_acid,"
        "volatile_acidity,colour,fixed_acidity\n9.4,0.56,3.51,0.9978,34,11,0.076,1.9,0,0.7,red,7.4\n",
    ],
    ids=["semicolons", "commas", "tabs", "without quality", "blank lines", "header", "header in another order"],
)
def test_row_becomes_a_wine_record(run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, text: str) -> None:
    done = run("send", write(tmp_path / "wine.csv", text), "--data-type", "wine")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"wine records sent to {topics.records}: 1\n"
    assert wines(read_topic(topics.records)) == [WINE]


def test_delimiter_may_be_given(run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path) -> None:
    file = write(tmp_path / "wine.csv", ROW.replace(";", "|"))
    assert run("send", file, "--data-type", "wine", "--delimiter", "|").exit_code == 0
    assert wines(read_topic(topics.records)) == [WINE]


def test_count_goes_round_the_file(run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path) -> None:
    file = write(tmp_path / "wine.csv", f"{ROW}\n{OTHER_ROW}\n")
    assert run("send", file, "--data-type", "wine", "--count", "5", "--rate", "1000").exit_code == 0
    acidities = [record.fixed_acidity for record in wines(read_topic(topics.records))]
    assert acidities == [7.4, 7.4, 7.4, 7.8, 7.8]


def test_json_records_routed_by_key(run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path) -> None:
    configuration = write(tmp_path / "types.toml", HOUSES)
    file = write(tmp_path / "houses.csv", 'area,heating,age\n120.5,"gas, old",30\n80,oil,\n')
    done = run("send", file, "--data-type", "house", "--data-types", configuration)
    assert done.exit_code == 0, done.output
    messages = [(key, json.loads(value)) for key, value in read_topic(topics.records)]
    assert messages == [
        (b"h", {"area": 120.5, "heating": "gas, old", "age": 30.0}),
        (b"h", {"area": 80.0, "heating": "oil"}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wine.csv holds no rows"),
        ("fixed acidity;pH", "wine.csv holds no rows"),
        ("fixed acidity;pH\n1;2", "line 2: no value for volatile_acidity"),
        ("1;2;3", "line 1: no value for residual_sugar"),
        (ROW + "\n" + ROW.replace("0.7;", ";"), "line 2: no value for volatile_acidity"),
        ("a;" + ROW, "line 1: 'a' is no number, which feature fixed_acidity is"),
    ],
    ids=["empty", "only a header", "header lacks features", "too few columns", "empty cell", "text for a number"],
)
def test_bad_file_is_one_line_and_nothing_is_sent(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, text: str, message: str
) -> None:
    done = run("send", write(tmp_path / "wine.csv", text), "--data-type", "wine")
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert read_topic(topics.records) == []


def test_bytes_that_are_no_text_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wine.csv").write_bytes(b"\xff\xfe\x00")
    done = run("send", tmp_path / "wine.csv", "--data-type", "wine")
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert "wine.csv cannot be read" in done.stderr


def test_unknown_data_type_names_the_known(run: Run, tmp_path: Path) -> None:
    done = run("send", write(tmp_path / "wine.csv", ROW), "--data-type", "beer")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: no data type 'beer'; there are wine: ")


def test_pace_is_kept_and_caught_up_after_a_delay() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        slept.append(seconds)

    for number, _ in enumerate(_paced(iter([bytes] * 5), 2.0, lambda: now[0], sleep)):
        if number == 1:
            now[0] += 0.9  # the receiver was slow
    assert slept == pytest.approx([0.5, 0.1, 0.5])
