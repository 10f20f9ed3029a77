"""Make `answers.json` anew: `python -m tests.runtimes.jpmml.make_answers`, with Maven and a JDK.

Run it after a change of the random documents; the jars and the class go to a temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from tests.runtimes.pmml_exports import EXPORTS, compared
from tests.runtimes.pmml_random import KINDS, records

HERE = Path(__file__).parent
DOCUMENTS = 5
"""Of each kind."""
RECORDS = 30
"""For each document."""


def main() -> None:
    """Write the answers beside this module."""
    seeds = [(kind, seed) for kind in KINDS for seed in range(DOCUMENTS)] + [(kind, 0) for kind in EXPORTS]
    cases = [(kind, seed, compared(kind, seed)) for kind, seed in seeds]
    jobs = [json.dumps({"document": data.decode(), "records": _whole(seed)}) for _, seed, data in cases]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mvn", "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
            check=True,
        )
        subprocess.run(["javac", "-cp", f"{folder}/*", "-d", folder, HERE / "Answer.java"], check=True)
        done = subprocess.run(
            ["java", "-cp", f"{folder}:{folder}/*", "Answer"],
            input="\n".join(jobs) + "\n",
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    made = [
        {"kind": kind, "seed": seed, "sha256": hashlib.sha256(data).hexdigest(), "answers": json.loads(line)}
        for (kind, seed, data), line in zip(cases, done.stdout.splitlines(), strict=True)
    ]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in made)
    (HERE / "answers.json").write_text(f"[\n{lines}\n]\n")


def _whole(seed: int) -> list[dict[str, object]]:
    """The records, with an integer as JSON has it: to Java a fraction is none, even if it is zero."""
    return [{**each, "n": None if each["n"] is None else int(each["n"])} for each in records(seed, RECORDS)]


if __name__ == "__main__":
    main()
