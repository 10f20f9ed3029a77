"""A PMML document as an object that scores whole batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from modelserving.runtimes.pmml_document import PmmlDocument
from modelserving.runtimes.pmml_fields import BoundField, Treated, failures, treated
from modelserving.runtimes.pmml_outputs import final_field
from modelserving.runtimes.vectorised.answers import Answer
from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Field, Frame, Scope, Texts, Vocabulary
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.runtimes.vectorised.expressions import define
from modelserving.runtimes.vectorised.models import Head, compile_model, define_outputs
from modelserving.servable import RecordFailure


class CompiledDocument:
    """A compiled document; several threads may score at once."""

    def __init__(self, document: PmmlDocument, bound: tuple[BoundField, ...]) -> None:
        """Compile `document`, which stays as it is.

        Raises:
            NotCovered
        """
        self._vocabulary = Vocabulary()
        scope = Scope(self._vocabulary)
        self._fields = [(each, _input(each, scope)) for each in bound]
        dictionary = document.root.find("TransformationDictionary")
        if dictionary is not None:
            for field in dictionary.findall("DerivedField"):
                define(field, scope)
        fields = {field.get("name", ""): field for field in document.root.iterfind("DataDictionary/DataField")}
        try:
            head = Head(document, fields)
            self._model, own = compile_model(document.model, scope, head)
            self._final: Field | None = None
            final = final_field(document)
            if final:
                visible = scope.inner()
                define_outputs(document.model, self._model, own, head.target(document.model), visible)
                self._final = visible.resolve(final)
        except RecursionError as error:
            raise NotCovered("elements nested as deep as these") from error

    def score(self, batch: pa.RecordBatch) -> tuple[Answer, list[RecordFailure], dict[str, Any]]:
        """Score a batch of n rows, with the document's rules for its fields applied.

        Returns:
            The answers to all n rows; the rows with a value against the rules, whose answers mean nothing; and by
            feature which rows (n,) miss it, without the features that none misses.
        """
        frame = Frame(batch.num_rows)
        columns = []
        for bound, field in self._fields:
            raw = batch.column(bound.feature)
            column, own = self._categories(raw, bound) if field.data_type == "string" else _numbers(raw, bound)
            columns.append((bound, raw, own))
            frame.columns[field.key] = column
        failed = failures(columns)
        missing = {
            bound.feature: frame.columns[field.key].missing
            for bound, field in self._fields
            if frame.columns[field.key].missing is not None
        }
        with np.errstate(all="ignore"):
            answer = self._model.answer(frame)
            if self._final is not None:
                column = self._final.column(frame)
                numbers = column.values if column.missing is None else np.where(column.missing, np.nan, column.values)
                answer = replace(answer, numbers=numbers)
            return answer, failed, missing

    def _categories(self, raw: pa.Array, bound: BoundField) -> tuple[Column, Treated]:
        """The rules are applied to each different value once."""
        encoded = raw.dictionary_encode()
        values = pa.concat_arrays([encoded.dictionary, pa.nulls(1, encoded.dictionary.type)])
        rows = encoded.indices.fill_null(len(values) - 1).to_numpy()
        own = treated(values, bound.field)
        codes = np.array(
            [
                UNKNOWN if absent else self._vocabulary.code(value)
                for value, absent in zip(own.values, own.missing, strict=True)
            ],
            dtype=np.int32,
        )
        every = Treated(own.values, own.missing[rows], own.failed[rows])
        texts = Texts(np.where(own.missing, "", own.values), rows)
        return Column(codes[rows], every.missing if every.missing.any() else None, texts), every


def _input(bound: BoundField, scope: Scope) -> Field:
    if bound.field.data_type not in ("double", "float", "integer", "string"):
        raise NotCovered(f"an input of type {bound.field.data_type}")
    return scope.define(bound.field.name, bound.field.data_type)


def _numbers(raw: pa.Array, bound: BoundField) -> tuple[Column, Treated]:
    own = treated(raw, bound.field)
    values = own.values
    if bound.field.data_type == "float":
        with np.errstate(over="ignore"):
            values = values.astype(np.float32).astype(np.float64)
    return Column(values, own.missing if own.missing.any() else None), own
