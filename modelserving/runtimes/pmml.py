"""PMML models: evaluated with NumPy where that covers the model and agrees with PMML4S, else by PMML4S (pypmml)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.data_types import DataType
from modelserving.errors import ModelRejected
from modelserving.runtimes.isolation import isolate
from modelserving.runtimes.pmml4s import Evaluator, start
from modelserving.runtimes.pmml_agreement import compare
from modelserving.runtimes.pmml_answers import Answers
from modelserving.runtimes.pmml_completion import PREDICTED, ballot, completed, probability_column, vote_column
from modelserving.runtimes.pmml_document import PmmlDocument, parse
from modelserving.runtimes.pmml_domain import domains, unusual
from modelserving.runtimes.pmml_fields import BoundField, bind, normalised, prepared
from modelserving.runtimes.pmml_outputs import final_field, left_out, with_left_out
from modelserving.runtimes.pmml_paths import records
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.runtimes.pmml_votes import Ballot, count
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.servable import Domain, RecordFailure, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine

_SMALLEST_HEAP_BYTES = 64 * 1024 * 1024

_ARG_MAX_MODELS = ("RegressionModel", "GeneralRegressionModel", "NeuralNetwork", "NaiveBayesModel")
_ARG_MAX_METHODS = ("average", "weightedAverage", "median")


class PmmlServable:
    """A PMML classification, regression or clustering, evaluated by PMML4S."""

    engine = "PMML4S"

    def __init__(
        self,
        document: PmmlDocument,
        bound: tuple[BoundField, ...],
        domain: Mapping[str, Domain],
        engine_reason: str = "",
    ) -> None:
        """Load `document`, which is used up thereby.

        Args:
            document: parsed.
            bound: its inputs.
            domain: what it says of their values.
            engine_reason: why PMML4S evaluates it.

        Raises:
            ModelRejected: UNLOADABLE.
        """
        self.inputs = tuple(each.feature for each in bound)
        self.domain = domain
        self.engine_reason = engine_reason
        self._bound = bound
        self._names = [each.field.name for each in bound]
        self._classes = document.classes
        self._class_index = {name: index for index, name in enumerate(document.classes)}
        self._ballot: Ballot | None = ballot(document)
        self._label_is_arg_max = _label_is_arg_max(document)
        self._number = final_field(document) or PREDICTED
        self._evaluator: Evaluator | None = Evaluator(completed(document))

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Score as `Servable.score` says.

        A classifier gives labels and, if the model has them, probabilities; a regression gives numbers. A value
        against the document's rules is INVALID_VALUE; a row without an answer is MISSING_FEATURE if a feature of it
        is missing, else MODEL_FAILED.
        """
        evaluator = self._evaluator
        if evaluator is None:
            raise RuntimeError("the servable is closed")
        columns, failures = prepared(batch, self._bound)
        rows = list(zip(*columns, strict=True)) if columns else [()] * batch.num_rows
        good = np.ones(batch.num_rows, dtype=bool)
        good[[failure.row for failure in failures]] = False
        answers = Answers.blank(batch.num_rows, len(self._classes))
        for part, result in isolate(
            np.flatnonzero(good),
            lambda part: evaluator.evaluate(self._names, [rows[row] for row in part]),
            evaluator.errors,
        ):
            if isinstance(result, BaseException):
                failures.append(RecordFailure(int(part[0]), Reason.MODEL_FAILED, f"PMML4S failed: {result}"))
                good[part] = False
            else:
                self._read(answers, part, *result)
        return answers.scores(
            self._classes,
            failures,
            lambda row: [each.feature for each, value in zip(self._bound, rows[row], strict=True) if value is None],
        )

    def close(self) -> None:
        """Let the Java model go."""
        if self._evaluator is not None:
            self._evaluator.close()
            self._evaluator = None

    def _read(self, answers: Answers, part: NDArray[np.intp], names: list[str], data: list[list[Any]]) -> None:
        column = {name: index for index, name in enumerate(names)}
        if not self._classes:
            answers.numbers[part] = _floats([row[column[self._number]] for row in data])
            return
        if self._ballot is not None:
            indices = [column[vote_column(index)] for index in range(len(self._ballot.weights))]
            votes = np.array([[self._label(row[index]) for index in indices] for row in data], dtype=np.int32)
            answers.labels[part], answers.probabilities[part] = count(votes, self._ballot, len(self._classes))
            return
        probabilities = np.column_stack(
            [_floats([row[column[probability_column(index)]] for row in data]) for index in range(len(self._classes))]
        )
        labels = np.array([self._label(row[column[PREDICTED]]) for row in data], dtype=np.int32)
        # a class that a distribution leaves out has probability 0
        probabilities[np.isnan(probabilities) & ~np.isnan(probabilities).all(axis=1, keepdims=True)] = 0.0
        if self._label_is_arg_max:
            # the first class of the document wins a tie; PMML4S's order of classes is that of a hash table
            known = (labels >= 0) & ~np.isnan(probabilities).any(axis=1)
            labels[known] = probabilities[known].argmax(axis=1)
        answers.labels[part] = labels
        answers.probabilities[part] = probabilities

    def _label(self, value: object) -> int:
        """Index of a predicted class, -1 for none."""
        return self._class_index.get(str(value), -1)


def load(
    descriptor: ModelDescriptor, data_type: DataType, engine: Engine | None = None
) -> PmmlServable | VectorisedServable:
    """Load a PMML document whose active fields are features of `data_type`.

    PMML4S loads every document, and so decides what is one; it goes on to evaluate those that the vectorised
    evaluator does not cover, or answers differently. `engine` and `engine_reason` of the servable tell which does, and
    what the document asks for that no result carries. Where the same bytes have been through all this, `engine` says
    with what result, and the other engine need not load them.

    Raises:
        ModelRejected: UNLOADABLE, or UNSAFE for a document that is dangerous to parse.
    """
    document = parse(descriptor.data)
    bound = bind(document.inputs, data_type)
    if descriptor.inputs:
        given = {normalised(name) for name in descriptor.inputs}
        fields = {normalised(field.name) for field in document.inputs}
        if given != fields:
            raise ModelRejected(
                Reason.UNLOADABLE,
                f"the descriptor's inputs differ from the model's active fields in {', '.join(sorted(given ^ fields))}",
            )
    domain = domains(document, bound)
    # loading uses the document up
    outputs = left_out(document)
    if engine is not None and engine.name == PmmlServable.engine:
        return _by_pmml4s(document, bound, domain, with_left_out(engine.reason, outputs))
    vectorised, reason = _vectorised(document, bound, domain)
    if vectorised is not None and engine is not None and engine.name == vectorised.engine:
        vectorised.engine_reason = engine.reason
        return vectorised
    servable = _chosen(document, bound, domain, vectorised, reason)
    servable.engine_reason = with_left_out(servable.engine_reason, outputs)
    return servable


def _chosen(
    document: PmmlDocument,
    bound: tuple[BoundField, ...],
    domain: Mapping[str, Domain],
    vectorised: VectorisedServable | None,
    reason: str,
) -> PmmlServable | VectorisedServable:
    """The engine to evaluate the document: PMML4S where it is not `vectorised`, for `reason`, or where they differ."""
    directed = records(document, bound, domain) if vectorised is not None else []
    servable = _by_pmml4s(document, bound, domain, reason)
    if vectorised is None:
        return servable
    comparison = compare(
        vectorised,
        servable,
        {each.feature: each.field.numeric for each in bound},
        directed=directed,
        unusual={each.feature: unusual(each.field) for each in bound},
        single=document.single,
    )
    if comparison.difference is not None:
        servable.engine_reason = f"the vectorised evaluator answers differently: {comparison.difference}"
        return servable
    servable.close()
    if comparison.incomplete_different:
        vectorised.engine_reason += (
            f", but for {comparison.incomplete_different} of {comparison.incomplete} that lack values or have values "
            "that the model does not name"
        )
    return vectorised


def _by_pmml4s(
    document: PmmlDocument, bound: tuple[BoundField, ...], domain: Mapping[str, Domain], reason: str
) -> PmmlServable:
    servable = PmmlServable(document, bound, domain, reason)
    try:
        servable.score(_missing_record(bound))
    except KeyError as error:
        raise ModelRejected(Reason.UNLOADABLE, f"the model does not answer with {error}; simplify it") from error
    return servable


def _vectorised(
    document: PmmlDocument, bound: tuple[BoundField, ...], domain: Mapping[str, Domain]
) -> tuple[VectorisedServable | None, str]:
    """The document compiled, or why it is not."""
    try:
        return VectorisedServable(document, bound, domain), ""
    except NotCovered as error:
        return None, str(error)
    except ModelRejected:
        raise
    except Exception as error:  # noqa: BLE001 - a fault in the compiler may raise anything, and PMML4S may do without
        return None, f"the vectorised evaluator raises {type(error).__name__}: {error}"


def prepare(memory_bytes: int) -> None:
    """Start the Java machine for a process in which models that may take `memory_bytes` are tried.

    A heap may grow to a quarter of the machine's memory by default, and is filled with garbage before it is swept: a
    good model would seem to eat memory. With half of what a model may take, one that needs more is refused by Java
    itself, and the other half is left to the document in Python. What is tried runs briefly, on a machine that is
    busy scoring: a thorough compiler would only take its time.
    """
    start(
        (
            f"-Xmx{max(memory_bytes // 2, _SMALLEST_HEAP_BYTES)}",
            "-XX:TieredStopAtLevel=1",
            f"-XX:ErrorFile={tempfile.gettempdir()}/java-%p.log",
        )
    )


def _missing_record(bound: tuple[BoundField, ...]) -> pa.RecordBatch:
    """A record without any value. Scoring it shows values in the document that are not of their field's type, and
    whether PMML4S answers with the columns that were asked for."""
    features = {each.feature: pa.float64() if each.field.numeric else pa.string() for each in bound}
    return pa.RecordBatch.from_pydict({name: pa.array([None], kind) for name, kind in features.items()})


def _label_is_arg_max(document: PmmlDocument) -> bool:
    segmentation = document.model.find("Segmentation")
    if segmentation is not None:
        return segmentation.get("multipleModelMethod") in _ARG_MAX_METHODS
    return document.model.tag in _ARG_MAX_MODELS


def _floats(values: list[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
