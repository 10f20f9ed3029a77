from modelserving.wire import model_pb2 as _model_pb2
from modelserving.wire import speculative_pb2 as _speculative_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServingStats(_message.Message):
    __slots__ = ("name", "description", "modelType", "since", "usage", "duration", "min", "max", "data_type", "model_version", "model_sha256", "served", "errors", "rejected", "last_served_ms", "score_time_us", "latency_ms", "recent", "scores", "drift", "updated_ms", "score_time_sketch", "latency_sketch")
    class RejectedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    LAST_SERVED_MS_FIELD_NUMBER: _ClassVar[int]
    SCORE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    SCORE_TIME_SKETCH_FIELD_NUMBER: _ClassVar[int]
    LATENCY_SKETCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    modelType: _model_pb2.ModelType
    since: int
    usage: int
    duration: float
    min: int
    max: int
    data_type: str
    model_version: str
    model_sha256: str
    served: int
    errors: int
    rejected: _containers.ScalarMap[str, int]
    last_served_ms: int
    score_time_us: Quantiles
    latency_ms: Quantiles
    recent: Recent
    scores: Distribution
    drift: Drift
    updated_ms: int
    score_time_sketch: bytes
    latency_sketch: bytes
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., modelType: _Optional[_Union[_model_pb2.ModelType, str]] = ..., since: _Optional[int] = ..., usage: _Optional[int] = ..., duration: _Optional[float] = ..., min: _Optional[int] = ..., max: _Optional[int] = ..., data_type: _Optional[str] = ..., model_version: _Optional[str] = ..., model_sha256: _Optional[str] = ..., served: _Optional[int] = ..., errors: _Optional[int] = ..., rejected: _Optional[_Mapping[str, int]] = ..., last_served_ms: _Optional[int] = ..., score_time_us: _Optional[_Union[Quantiles, _Mapping]] = ..., latency_ms: _Optional[_Union[Quantiles, _Mapping]] = ..., recent: _Optional[_Union[Recent, _Mapping]] = ..., scores: _Optional[_Union[Distribution, _Mapping]] = ..., drift: _Optional[_Union[Drift, _Mapping]] = ..., updated_ms: _Optional[int] = ..., score_time_sketch: _Optional[bytes] = ..., latency_sketch: _Optional[bytes] = ...) -> None: ...

class Quantiles(_message.Message):
    __slots__ = ("count", "min", "p50", "p90", "p99", "p999", "max")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P90_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    P999_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    count: int
    min: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    def __init__(self, count: _Optional[int] = ..., min: _Optional[float] = ..., p50: _Optional[float] = ..., p90: _Optional[float] = ..., p99: _Optional[float] = ..., p999: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class Recent(_message.Message):
    __slots__ = ("seconds", "served", "rejected", "served_per_s", "rejected_per_s", "score_time_us", "latency_ms")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    SERVED_PER_S_FIELD_NUMBER: _ClassVar[int]
    REJECTED_PER_S_FIELD_NUMBER: _ClassVar[int]
    SCORE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    served: int
    rejected: int
    served_per_s: float
    rejected_per_s: float
    score_time_us: Quantiles
    latency_ms: Quantiles
    def __init__(self, seconds: _Optional[float] = ..., served: _Optional[int] = ..., rejected: _Optional[int] = ..., served_per_s: _Optional[float] = ..., rejected_per_s: _Optional[float] = ..., score_time_us: _Optional[_Union[Quantiles, _Mapping]] = ..., latency_ms: _Optional[_Union[Quantiles, _Mapping]] = ...) -> None: ...

class Distribution(_message.Message):
    __slots__ = ("labels", "edges", "counts")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.ScalarMap[str, int]
    edges: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, labels: _Optional[_Mapping[str, int]] = ..., edges: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("score_psi", "feature_psi", "drifted", "reference_records", "current_records", "changed_ms")
    class FeaturePsiEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SCORE_PSI_FIELD_NUMBER: _ClassVar[int]
    FEATURE_PSI_FIELD_NUMBER: _ClassVar[int]
    DRIFTED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_RECORDS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_RECORDS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_MS_FIELD_NUMBER: _ClassVar[int]
    score_psi: float
    feature_psi: _containers.ScalarMap[str, float]
    drifted: bool
    reference_records: int
    current_records: int
    changed_ms: int
    def __init__(self, score_psi: _Optional[float] = ..., feature_psi: _Optional[_Mapping[str, float]] = ..., drifted: bool = ..., reference_records: _Optional[int] = ..., current_records: _Optional[int] = ..., changed_ms: _Optional[int] = ...) -> None: ...

class PolicyStats(_message.Message):
    __slots__ = ("data_type", "terms", "since", "last_decided_ms", "decided", "why", "at_deadline", "late", "decision_ms", "late_ms", "models", "agreement", "recent", "updated_ms", "decision_sketch", "late_sketch")
    class WhyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LAST_DECIDED_MS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AT_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    DECISION_MS_FIELD_NUMBER: _ClassVar[int]
    LATE_MS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    DECISION_SKETCH_FIELD_NUMBER: _ClassVar[int]
    LATE_SKETCH_FIELD_NUMBER: _ClassVar[int]
    data_type: str
    terms: PolicyTerms
    since: int
    last_decided_ms: int
    decided: int
    why: _containers.ScalarMap[str, int]
    at_deadline: int
    late: int
    decision_ms: Quantiles
    late_ms: Quantiles
    models: _containers.RepeatedCompositeFieldContainer[PolicyModel]
    agreement: _containers.RepeatedCompositeFieldContainer[ModelAgreement]
    recent: RecentDecisions
    updated_ms: int
    decision_sketch: bytes
    late_sketch: bytes
    def __init__(self, data_type: _Optional[str] = ..., terms: _Optional[_Union[PolicyTerms, _Mapping]] = ..., since: _Optional[int] = ..., last_decided_ms: _Optional[int] = ..., decided: _Optional[int] = ..., why: _Optional[_Mapping[str, int]] = ..., at_deadline: _Optional[int] = ..., late: _Optional[int] = ..., decision_ms: _Optional[_Union[Quantiles, _Mapping]] = ..., late_ms: _Optional[_Union[Quantiles, _Mapping]] = ..., models: _Optional[_Iterable[_Union[PolicyModel, _Mapping]]] = ..., agreement: _Optional[_Iterable[_Union[ModelAgreement, _Mapping]]] = ..., recent: _Optional[_Union[RecentDecisions, _Mapping]] = ..., updated_ms: _Optional[int] = ..., decision_sketch: _Optional[bytes] = ..., late_sketch: _Optional[bytes] = ...) -> None: ...

class PolicyTerms(_message.Message):
    __slots__ = ("rule", "quorum", "decider", "timeout_ms", "models", "challengers", "shadow", "canary")
    RULE_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    CHALLENGERS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    rule: _speculative_pb2.Rule
    quorum: int
    decider: str
    timeout_ms: int
    models: _containers.RepeatedScalarFieldContainer[str]
    challengers: _containers.RepeatedScalarFieldContainer[str]
    shadow: float
    canary: float
    def __init__(self, rule: _Optional[_Union[_speculative_pb2.Rule, str]] = ..., quorum: _Optional[int] = ..., decider: _Optional[str] = ..., timeout_ms: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., challengers: _Optional[_Iterable[str]] = ..., shadow: _Optional[float] = ..., canary: _Optional[float] = ...) -> None: ...

class PolicyModel(_message.Message):
    __slots__ = ("model", "asked", "shadow", "answered", "late", "counted", "missing", "taken_ms", "last_asked_ms", "taken_sketch")
    class MissingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    TAKEN_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_ASKED_MS_FIELD_NUMBER: _ClassVar[int]
    TAKEN_SKETCH_FIELD_NUMBER: _ClassVar[int]
    model: str
    asked: int
    shadow: int
    answered: int
    late: int
    counted: int
    missing: _containers.ScalarMap[str, int]
    taken_ms: Quantiles
    last_asked_ms: int
    taken_sketch: bytes
    def __init__(self, model: _Optional[str] = ..., asked: _Optional[int] = ..., shadow: _Optional[int] = ..., answered: _Optional[int] = ..., late: _Optional[int] = ..., counted: _Optional[int] = ..., missing: _Optional[_Mapping[str, int]] = ..., taken_ms: _Optional[_Union[Quantiles, _Mapping]] = ..., last_asked_ms: _Optional[int] = ..., taken_sketch: _Optional[bytes] = ...) -> None: ...

class ModelAgreement(_message.Message):
    __slots__ = ("first", "second", "compared", "agreed")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    first: str
    second: str
    compared: int
    agreed: int
    def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., compared: _Optional[int] = ..., agreed: _Optional[int] = ...) -> None: ...

class RecentDecisions(_message.Message):
    __slots__ = ("seconds", "decided", "decided_per_s", "why", "at_deadline", "late", "decision_ms", "counted", "late_answers")
    class WhyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class CountedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LateAnswersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    DECIDED_PER_S_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AT_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    DECISION_MS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    LATE_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    seconds: float
    decided: int
    decided_per_s: float
    why: _containers.ScalarMap[str, int]
    at_deadline: int
    late: int
    decision_ms: Quantiles
    counted: _containers.ScalarMap[str, int]
    late_answers: _containers.ScalarMap[str, int]
    def __init__(self, seconds: _Optional[float] = ..., decided: _Optional[int] = ..., decided_per_s: _Optional[float] = ..., why: _Optional[_Mapping[str, int]] = ..., at_deadline: _Optional[int] = ..., late: _Optional[int] = ..., decision_ms: _Optional[_Union[Quantiles, _Mapping]] = ..., counted: _Optional[_Mapping[str, int]] = ..., late_answers: _Optional[_Mapping[str, int]] = ...) -> None: ...
