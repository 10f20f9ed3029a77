"""Make `answers.json` and `ruled.json` anew: `python -m tests.runtimes.jpmml.make_answers`, with Maven and a JDK.

Run it after a change of the random documents; the jars and the class go to a temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.runtimes.pmml_exports import EXPORTS, compared
from tests.runtimes.pmml_random import KINDS, Record, records
from tests.runtimes.pmml_random_rules import ruled, strange

HERE = Path(__file__).parent
DOCUMENTS = 5
"""Of each kind."""
RECORDS = 30
"""For each document."""
RULED = 3
"""Of each kind, documents with rules for their inputs."""

Case = tuple[str, int, bytes, list[Record]]
"""Kind, seed, document, records."""


def main() -> None:
    """Write the answers beside this module."""
    seeds = [(kind, seed) for kind in KINDS for seed in range(DOCUMENTS)] + [(kind, 0) for kind in EXPORTS]
    plain = [(kind, seed, compared(kind, seed), records(seed, RECORDS)) for kind, seed in seeds]
    rules = [(kind, seed, ruled(seed, kind), strange(seed, RECORDS)) for kind in KINDS for seed in range(RULED)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
            check=True,
        )
        subprocess.run(["javac", "-cp", f"{folder}/*", "-d", folder, HERE / "Answer.java"], check=True)
        for name, cases in (("answers.json", plain), ("ruled.json", rules)):
            (HERE / name).write_text(_answered(folder, cases))


def _answered(folder: str, cases: Sequence[Case]) -> str:
    """One line for each case, with the answers that the class in that folder gives."""
    jobs = [json.dumps({"document": data.decode(), "records": _whole(given)}) for _, _, data, given in cases]
    done = subprocess.run(
        ["java", "-cp", f"{folder}:{folder}/*", "Answer"],
        input="\n".join(jobs) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    made = [
        {"kind": kind, "seed": seed, "sha256": hashlib.sha256(data).hexdigest(), "answers": json.loads(line)}
        for (kind, seed, data, _), line in zip(cases, done.stdout.splitlines(), strict=True)
    ]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in made)
    return f"[\n{lines}\n]\n"


def _whole(given: Sequence[Record]) -> list[dict[str, object]]:
    """The records, with an integer as JSON has it: to Java a fraction is none, even if it is zero."""
    return [
        {**each, "n": int(each["n"]) if isinstance(each["n"], float) and each["n"].is_integer() else each["n"]}
        for each in given
    ]


if __name__ == "__main__":
    main()
