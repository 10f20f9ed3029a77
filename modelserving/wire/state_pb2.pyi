from modelserving.wire import model_pb2 as _model_pb2
from modelserving.wire import stats_pb2 as _stats_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AdmittedModel(_message.Message):
    __slots__ = ("offset", "descriptor", "pieces", "engine")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    offset: int
    descriptor: _model_pb2.ModelDescriptor
    pieces: int
    engine: Engine
    def __init__(self, offset: _Optional[int] = ..., descriptor: _Optional[_Union[_model_pb2.ModelDescriptor, _Mapping]] = ..., pieces: _Optional[int] = ..., engine: _Optional[_Union[Engine, _Mapping]] = ...) -> None: ...

class Engine(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelPiece(_message.Message):
    __slots__ = ("offset", "number", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    number: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ServingState(_message.Message):
    __slots__ = ("schema", "serving", "last_good", "decided")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    LAST_GOOD_FIELD_NUMBER: _ClassVar[int]
    DECIDED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    serving: AdmittedModel
    last_good: AdmittedModel
    decided: int
    def __init__(self, schema: _Optional[int] = ..., serving: _Optional[_Union[AdmittedModel, _Mapping]] = ..., last_good: _Optional[_Union[AdmittedModel, _Mapping]] = ..., decided: _Optional[int] = ...) -> None: ...

class KnownVersion(_message.Message):
    __slots__ = ("offset", "name", "version", "sha256", "fingerprint", "activation_ms", "retired")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_MS_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    offset: int
    name: str
    version: str
    sha256: str
    fingerprint: str
    activation_ms: int
    retired: bool
    def __init__(self, offset: _Optional[int] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., fingerprint: _Optional[str] = ..., activation_ms: _Optional[int] = ..., retired: bool = ...) -> None: ...

class AdmissionState(_message.Message):
    __slots__ = ("schema", "applied_offset", "serving", "no_ops", "versions", "scheduled", "last_good_offset")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    APPLIED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    NO_OPS_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    LAST_GOOD_OFFSET_FIELD_NUMBER: _ClassVar[int]
    schema: int
    applied_offset: int
    serving: _model_pb2.ModelDescriptor
    no_ops: int
    versions: _containers.RepeatedCompositeFieldContainer[KnownVersion]
    scheduled: _containers.RepeatedCompositeFieldContainer[KnownVersion]
    last_good_offset: int
    def __init__(self, schema: _Optional[int] = ..., applied_offset: _Optional[int] = ..., serving: _Optional[_Union[_model_pb2.ModelDescriptor, _Mapping]] = ..., no_ops: _Optional[int] = ..., versions: _Optional[_Iterable[_Union[KnownVersion, _Mapping]]] = ..., scheduled: _Optional[_Iterable[_Union[KnownVersion, _Mapping]]] = ..., last_good_offset: _Optional[int] = ...) -> None: ...

class PendingMessage(_message.Message):
    __slots__ = ("timestamp_ms", "message")
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    timestamp_ms: int
    message: bytes
    def __init__(self, timestamp_ms: _Optional[int] = ..., message: _Optional[bytes] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("schema", "data_type", "admitted", "offset", "retired", "tick", "piece")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    schema: int
    data_type: str
    admitted: AdmittedModel
    offset: int
    retired: Retirement
    tick: bool
    piece: ModelPiece
    def __init__(self, schema: _Optional[int] = ..., data_type: _Optional[str] = ..., admitted: _Optional[_Union[AdmittedModel, _Mapping]] = ..., offset: _Optional[int] = ..., retired: _Optional[_Union[Retirement, _Mapping]] = ..., tick: bool = ..., piece: _Optional[_Union[ModelPiece, _Mapping]] = ...) -> None: ...

class Retirement(_message.Message):
    __slots__ = ("name", "version", "serving")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    serving: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., serving: _Optional[int] = ...) -> None: ...

class StatsDelta(_message.Message):
    __slots__ = ("schema", "data_type", "model", "served", "rejected", "first_ms", "last_ms", "score_us", "latencies_ms", "latency_counts", "labels", "features", "sample", "votes", "errors", "policy")
    class RejectedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    FIRST_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_MS_FIELD_NUMBER: _ClassVar[int]
    SCORE_US_FIELD_NUMBER: _ClassVar[int]
    LATENCIES_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_COUNTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    schema: int
    data_type: str
    model: _model_pb2.ModelDescriptor
    served: int
    rejected: _containers.ScalarMap[int, int]
    first_ms: int
    last_ms: int
    score_us: int
    latencies_ms: _containers.RepeatedScalarFieldContainer[int]
    latency_counts: _containers.RepeatedScalarFieldContainer[int]
    labels: _containers.ScalarMap[str, int]
    features: _containers.RepeatedScalarFieldContainer[str]
    sample: bytes
    votes: bool
    errors: int
    policy: PolicyDelta
    def __init__(self, schema: _Optional[int] = ..., data_type: _Optional[str] = ..., model: _Optional[_Union[_model_pb2.ModelDescriptor, _Mapping]] = ..., served: _Optional[int] = ..., rejected: _Optional[_Mapping[int, int]] = ..., first_ms: _Optional[int] = ..., last_ms: _Optional[int] = ..., score_us: _Optional[int] = ..., latencies_ms: _Optional[_Iterable[int]] = ..., latency_counts: _Optional[_Iterable[int]] = ..., labels: _Optional[_Mapping[str, int]] = ..., features: _Optional[_Iterable[str]] = ..., sample: _Optional[bytes] = ..., votes: bool = ..., errors: _Optional[int] = ..., policy: _Optional[_Union[PolicyDelta, _Mapping]] = ...) -> None: ...

class PolicyDelta(_message.Message):
    __slots__ = ("terms", "why", "at_deadline", "decided_ms", "decision_us", "late_us", "models", "agreement")
    class WhyEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    TERMS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AT_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    DECIDED_MS_FIELD_NUMBER: _ClassVar[int]
    DECISION_US_FIELD_NUMBER: _ClassVar[int]
    LATE_US_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    terms: _stats_pb2.PolicyTerms
    why: _containers.ScalarMap[int, int]
    at_deadline: int
    decided_ms: int
    decision_us: int
    late_us: int
    models: _containers.RepeatedCompositeFieldContainer[PolicyModelDelta]
    agreement: _containers.RepeatedCompositeFieldContainer[_stats_pb2.ModelAgreement]
    def __init__(self, terms: _Optional[_Union[_stats_pb2.PolicyTerms, _Mapping]] = ..., why: _Optional[_Mapping[int, int]] = ..., at_deadline: _Optional[int] = ..., decided_ms: _Optional[int] = ..., decision_us: _Optional[int] = ..., late_us: _Optional[int] = ..., models: _Optional[_Iterable[_Union[PolicyModelDelta, _Mapping]]] = ..., agreement: _Optional[_Iterable[_Union[_stats_pb2.ModelAgreement, _Mapping]]] = ...) -> None: ...

class PolicyModelDelta(_message.Message):
    __slots__ = ("model", "asked", "shadow", "counted", "votes", "late", "taken_us", "taken_counts")
    class VotesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_US_FIELD_NUMBER: _ClassVar[int]
    TAKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    asked: int
    shadow: int
    counted: int
    votes: _containers.ScalarMap[int, int]
    late: bool
    taken_us: _containers.RepeatedScalarFieldContainer[int]
    taken_counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, model: _Optional[str] = ..., asked: _Optional[int] = ..., shadow: _Optional[int] = ..., counted: _Optional[int] = ..., votes: _Optional[_Mapping[int, int]] = ..., late: bool = ..., taken_us: _Optional[_Iterable[int]] = ..., taken_counts: _Optional[_Iterable[int]] = ...) -> None: ...

class PolicyState(_message.Message):
    __slots__ = ("schema", "totals")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    totals: _stats_pb2.PolicyStats
    def __init__(self, schema: _Optional[int] = ..., totals: _Optional[_Union[_stats_pb2.PolicyStats, _Mapping]] = ...) -> None: ...

class StatsState(_message.Message):
    __slots__ = ("schema", "totals", "drift")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    schema: int
    totals: _stats_pb2.ServingStats
    drift: DriftState
    def __init__(self, schema: _Optional[int] = ..., totals: _Optional[_Union[_stats_pb2.ServingStats, _Mapping]] = ..., drift: _Optional[_Union[DriftState, _Mapping]] = ...) -> None: ...

class DriftState(_message.Message):
    __slots__ = ("features", "reference_sample", "reference", "reference_labels", "minutes", "means", "center", "spread")
    class ReferenceLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_LABELS_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    CENTER_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[str]
    reference_sample: bytes
    reference: _containers.RepeatedCompositeFieldContainer[Bins]
    reference_labels: _containers.ScalarMap[str, int]
    minutes: _containers.RepeatedCompositeFieldContainer[DriftMinute]
    means: _containers.RepeatedScalarFieldContainer[float]
    center: float
    spread: float
    def __init__(self, features: _Optional[_Iterable[str]] = ..., reference_sample: _Optional[bytes] = ..., reference: _Optional[_Iterable[_Union[Bins, _Mapping]]] = ..., reference_labels: _Optional[_Mapping[str, int]] = ..., minutes: _Optional[_Iterable[_Union[DriftMinute, _Mapping]]] = ..., means: _Optional[_Iterable[float]] = ..., center: _Optional[float] = ..., spread: _Optional[float] = ...) -> None: ...

class Bins(_message.Message):
    __slots__ = ("edges", "counts")
    EDGES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    edges: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, edges: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class DriftMinute(_message.Message):
    __slots__ = ("minute", "records", "counts", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    minute: int
    records: int
    counts: _containers.RepeatedScalarFieldContainer[int]
    labels: _containers.ScalarMap[str, int]
    def __init__(self, minute: _Optional[int] = ..., records: _Optional[int] = ..., counts: _Optional[_Iterable[int]] = ..., labels: _Optional[_Mapping[str, int]] = ...) -> None: ...
