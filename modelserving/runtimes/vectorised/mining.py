"""MiningModel: https://dmg.org/pmml/v4-4-1/MultipleModels.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.vectorised import votes
from modelserving.runtimes.vectorised.answers import Answer, Labels, Target, joined
from modelserving.runtimes.vectorised.columns import Frame, Mask, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number, only
from modelserving.runtimes.vectorised.forest import Leaves
from modelserving.runtimes.vectorised.models import Head, compile_model, define_outputs, local_scope, refuse_rules
from modelserving.runtimes.vectorised.precision import precision, refuse_single
from modelserving.runtimes.vectorised.predicates import TAGS, Predicate, predicate
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults
from modelserving.runtimes.vectorised.tree_models import Trees

_NOT_MODELS = TAGS | {"VariableWeight"}


@dataclass(frozen=True, slots=True)
class _Segment:
    element: ET.Element
    predicate: Predicate
    model: ET.Element

    @property
    def always(self) -> bool:
        """Whether it applies to every record."""
        return not self.predicate.fields and bool(self.predicate.truth(Frame(1))[0][0])


def mining_model(element: ET.Element, scope: Scope, target: Target, head: Head) -> Callable[[Frame], Answer]:
    """Compile a MiningModel.

    Raises:
        NotCovered
    """
    segmentation = child(element, "Segmentation")
    if segmentation.find("LocalTransformations") is not None:
        raise NotCovered("Segmentation with LocalTransformations")
    segments = [_segment(each, scope) for each in segmentation.findall("Segment")]
    if not segments:
        raise NotCovered("Segmentation without Segment")
    for segment in segments:
        refuse_rules(segment.model)
    refuse_defaults(element)
    method = segmentation.get("multipleModelMethod", "")
    finished = finish(element, target)
    only(segmentation, "missingPredictionTreatment", None, "continue", "skipSegment", "returnMissing")
    treatment = segmentation.get("missingPredictionTreatment", "continue")
    if method == "modelChain":
        only(segmentation, "missingPredictionTreatment", None, "continue", "returnMissing")
        return _chain(segments, scope, target, head, treatment == "returnMissing")
    if any(segment.model.get("functionName") != element.get("functionName") for segment in segments):
        raise NotCovered("an ensemble of models of different functions")
    if method == "selectFirst":
        return _first(segments, scope, target, head, treatment == "skipSegment")
    if method not in (votes.REGRESSION if not target.classes else (*votes.VOTES, *votes.PROBABILITIES)):
        raise NotCovered(f"a {element.get('functionName')} with multipleModelMethod={method!r}")
    rules = votes.Rules(
        method,
        np.array([number(each.element, "weight", 1.0) for each in segments]),
        treatment,
        number(segmentation, "missingThreshold", 1.0),
        precision(element),
    )
    if rules.width.single and method not in ("sum", "average"):
        refuse_single(element, f"an ensemble with multipleModelMethod={method!r}")
    if target.classes:
        refuse_single(element, "an ensemble that classifies")
    if any(each.find("VariableWeight") is not None for each in segmentation):
        raise NotCovered("VariableWeight")
    compiler = _forest if all(segment.model.tag == "TreeModel" for segment in segments) else _ensemble
    evaluate = compiler(segments, scope, target, head, rules)

    def evaluated(frame: Frame) -> Answer:
        answer = evaluate(frame)
        return answer if answer.numbers is None else Answer(numbers=finished(answer.numbers))

    return evaluated


def _segment(element: ET.Element, scope: Scope) -> _Segment:
    conditions = [each for each in element if each.tag in TAGS]
    models = [each for each in element if each.tag not in _NOT_MODELS]
    if len(conditions) != 1 or len(models) != 1:
        raise NotCovered("Segment without one predicate and one model")
    return _Segment(element, predicate(conditions[0], scope), models[0])


def _chain(
    segments: Sequence[_Segment], scope: Scope, target: Target, head: Head, all_needed: bool
) -> Callable[[Frame], Answer]:
    """The last model answers; with `all_needed` only where each of the others has a prediction too."""
    if not all(segment.always for segment in segments):
        raise NotCovered("modelChain with conditions")
    visible = scope.inner()
    models = []
    for segment in segments:
        model, own = compile_model(segment.model, visible, head)
        models.append(model)
        define_outputs(segment.model, model, own, head.target(segment.model), visible)
    last = head.target(segments[-1].model)
    if last.classes != target.classes:
        raise NotCovered("modelChain whose last model predicts something else")
    if not all_needed:
        return models[-1].answer

    def evaluate(frame: Frame) -> Answer:
        answer, none = models[-1].answer(frame), _none(frame, target)
        _copy(answer, none, np.logical_and.reduce([_predicted(model.answer(frame)) for model in models]))
        return none if answer.probabilities is not None or answer.labels is None else Answer(labels=none.labels)

    return evaluate


def _none(frame: Frame, target: Target) -> Answer:
    """No answer to any row, to be filled."""
    return Answer(
        numbers=None if target.classes else np.full(frame.rows, np.nan),
        labels=np.full(frame.rows, -1, dtype=np.int32) if target.classes else None,
        probabilities=np.full((frame.rows, len(target.classes)), np.nan) if target.classes else None,
    )


def _first(
    segments: Sequence[_Segment], scope: Scope, target: Target, head: Head, skips: bool
) -> Callable[[Frame], Answer]:
    """With `skips` the first segment that has a prediction answers, else the first that applies."""
    models = [compile_model(segment.model, scope, head)[0] for segment in segments]
    conditions = [segment.predicate for segment in segments]

    def evaluate(frame: Frame) -> Answer:
        taken = _active(conditions, frame)
        none = _none(frame, target)
        open_ = np.ones(frame.rows, dtype=bool)
        for model, applies in zip(models, taken, strict=True):
            rows = open_ & applies
            if rows.any():
                answer = model.answer(frame)
                rows &= _predicted(answer) if skips else True
                _copy(answer, none, rows)
            open_ &= ~rows
        return none

    return evaluate


def _predicted(answer: Answer) -> Mask:
    """(n,) which rows have a prediction."""
    if answer.numbers is not None:
        return ~np.isnan(answer.numbers)
    if answer.labels is None:
        raise TypeError("an answer without labels")
    return answer.labels >= 0


def _copy(source: Answer, to: Answer, rows: Mask) -> None:
    for given, own in (
        (source.numbers, to.numbers),
        (source.labels, to.labels),
        (source.probabilities, to.probabilities),
    ):
        if given is not None and own is not None:
            own[rows] = given[rows]


def _active(conditions: Sequence[Predicate], frame: Frame) -> Mask:
    """(t, n) which segments apply."""
    return np.stack([each.truth(frame)[0] for each in conditions])


def _conditions(segments: Sequence[_Segment]) -> Callable[[Frame], Mask | None]:
    if all(segment.always for segment in segments):
        return lambda _: None
    conditions = [segment.predicate for segment in segments]
    return lambda frame: _active(conditions, frame)


def _forest(
    segments: Sequence[_Segment], scope: Scope, target: Target, head: Head, rules: votes.Rules
) -> Callable[[Frame], Answer]:
    """Trees are compiled together."""
    models = [segment.model for segment in segments]
    targets = [head.target(model) for model in models]
    trees = Trees(models, [local_scope(model, scope) for model in models], targets, rules.width)
    active = _conditions(segments)
    if rules.method in votes.PROBABILITIES and not trees.probable:
        raise NotCovered("an average of trees without probabilities")

    def aggregate(leaves: Leaves, applying: Mask | None) -> Answer:
        if not target.classes:
            return votes.numbers(trees.numbers(leaves), applying, rules)
        if rules.method in votes.VOTES:
            return votes.votes(trees.labels(leaves), applying, rules, len(target.classes))
        return votes.probabilities(
            lambda segment: trees.probabilities(leaves[segment]),
            applying,
            rules,
            (leaves.shape[1], len(target.classes)),
            lambda segment, row: trees.order(int(leaves[segment, row])),
        )

    def evaluate(frame: Frame) -> Answer:
        applying, start, parts = active(frame), 0, []
        for leaves in trees.leaves(frame):
            end = start + leaves.shape[1]
            parts.append(aggregate(leaves, None if applying is None else applying[:, start:end]))
            start = end
        return joined(parts)

    return evaluate


def _ensemble(
    segments: Sequence[_Segment], scope: Scope, target: Target, head: Head, rules: votes.Rules
) -> Callable[[Frame], Answer]:
    models = [compile_model(segment.model, scope, head)[0] for segment in segments]
    active = _conditions(segments)

    def evaluate(frame: Frame) -> Answer:
        answers, applying = [model.answer(frame) for model in models], active(frame)
        if not target.classes:
            return votes.numbers(rules.width.of(_numbers(answers)), applying, rules)
        if rules.method in votes.VOTES:
            return votes.votes(_labels(answers), applying, rules, len(target.classes))
        return votes.probabilities(
            lambda segment: _shares(answers[segment]),
            applying,
            rules,
            (frame.rows, len(target.classes)),
            lambda segment, _: answers[segment].order,
        )

    return evaluate


def _numbers(answers: Sequence[Answer]) -> Numbers:
    return np.stack([answer.numbers for answer in answers if answer.numbers is not None])


def _labels(answers: Sequence[Answer]) -> Labels:
    return np.stack([answer.labels for answer in answers if answer.labels is not None])


def _shares(answer: Answer) -> Numbers:
    if answer.probabilities is None:
        raise TypeError("an average of models without probabilities")
    return answer.probabilities
