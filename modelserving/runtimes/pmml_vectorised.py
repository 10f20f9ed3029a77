"""PMML models, evaluated batch by batch with NumPy, where the evaluator covers the model."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from modelserving.runtimes.pmml_answers import Answers
from modelserving.runtimes.pmml_document import PmmlDocument
from modelserving.runtimes.pmml_fields import BoundField
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.servable import Domain, Scores


class VectorisedServable:
    """A PMML classification, regression or clustering, compiled."""

    engine = "vectorised-4"
    """The number is raised with each change of what is answered: models in a state that it evaluated are then compared
    anew. Those that PMML4S evaluated stay with it until they are published again."""

    def __init__(self, document: PmmlDocument, bound: tuple[BoundField, ...], domain: Mapping[str, Domain]) -> None:
        """Compile `document`, which stays as it is; `domain` is that of its inputs.

        Raises:
            NotCovered: the document holds something that is not covered.
        """
        self.inputs = tuple(each.feature for each in bound)
        self.domain = domain
        self.engine_reason = "it answers generated records as PMML4S does"
        self._classes = document.classes
        self._compiled: CompiledDocument | None = CompiledDocument(document, bound)

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Score as `Servable.score` says; answers and failures are those of `pmml.PmmlServable`."""
        compiled = self._compiled
        if compiled is None:
            raise RuntimeError("the servable is closed")
        answer, failures, missing = compiled.score(batch)
        none = Answers.blank(batch.num_rows, len(self._classes))
        answers = Answers(
            none.numbers if answer.numbers is None else answer.numbers,
            none.labels if answer.labels is None else answer.labels,
            none.probabilities if answer.probabilities is None else answer.probabilities,
        )
        return answers.scores(
            self._classes,
            failures,
            lambda row: [feature for feature, absent in missing.items() if absent[row]],
        )

    def close(self) -> None:
        """Let the compiled model go."""
        self._compiled = None
