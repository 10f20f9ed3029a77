from modelserving.wire import serving_pb2 as _serving_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUST: _ClassVar[Rule]
    CONSENSUS: _ClassVar[Rule]
    QUALITY: _ClassVar[Rule]
    COMBINED: _ClassVar[Rule]

class Average(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEDIAN: _ClassVar[Average]
    MEAN: _ClassVar[Average]

class QualityBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WEIGHT: _ClassVar[QualityBy]
    METRIC: _ClassVar[QualityBy]
    CONFIDENCE: _ClassVar[QualityBy]

class RolloutAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NO_ACTION: _ClassVar[RolloutAction]
    PROMOTE: _ClassVar[RolloutAction]
    ROLL_BACK: _ClassVar[RolloutAction]

class VoteState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANSWERED: _ClassVar[VoteState]
    OUTSTANDING: _ClassVar[VoteState]
    NO_SUCH_MODEL: _ClassVar[VoteState]
    FAILED: _ClassVar[VoteState]
    SHED: _ClassVar[VoteState]
    EXPIRED: _ClassVar[VoteState]
    LANE_ENDED: _ClassVar[VoteState]
    NOT_LOADED: _ClassVar[VoteState]
    STILL_LOADING: _ClassVar[VoteState]

class Why(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WHY_UNSPECIFIED: _ClassVar[Why]
    ALL_IN: _ClassVar[Why]
    BEST: _ClassVar[Why]
    QUORUM: _ClassVar[Why]
    NO_QUORUM: _ClassVar[Why]
    DEADLINE: _ClassVar[Why]
    DEFAULT: _ClassVar[Why]
    NO_ANSWER: _ClassVar[Why]
    OWN_DECIDER: _ClassVar[Why]
    DECIDER_FAILED: _ClassVar[Why]
TRUST: Rule
CONSENSUS: Rule
QUALITY: Rule
COMBINED: Rule
MEDIAN: Average
MEAN: Average
WEIGHT: QualityBy
METRIC: QualityBy
CONFIDENCE: QualityBy
NO_ACTION: RolloutAction
PROMOTE: RolloutAction
ROLL_BACK: RolloutAction
ANSWERED: VoteState
OUTSTANDING: VoteState
NO_SUCH_MODEL: VoteState
FAILED: VoteState
SHED: VoteState
EXPIRED: VoteState
LANE_ENDED: VoteState
NOT_LOADED: VoteState
STILL_LOADING: VoteState
WHY_UNSPECIFIED: Why
ALL_IN: Why
BEST: Why
QUORUM: Why
NO_QUORUM: Why
DEADLINE: Why
DEFAULT: Why
NO_ANSWER: Why
OWN_DECIDER: Why
DECIDER_FAILED: Why

class SpeculativeControl(_message.Message):
    __slots__ = ("datatype", "tmout", "models", "rule", "quorum", "tolerance", "average", "quality_by", "weights", "metric", "default_number", "default_label", "decider", "challengers", "shadow", "canary", "limits", "action", "previous", "policy_offset")
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    TMOUT_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_BY_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_LABEL_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    CHALLENGERS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    POLICY_OFFSET_FIELD_NUMBER: _ClassVar[int]
    datatype: str
    tmout: int
    models: _containers.RepeatedScalarFieldContainer[str]
    rule: Rule
    quorum: int
    tolerance: float
    average: Average
    quality_by: QualityBy
    weights: _containers.RepeatedScalarFieldContainer[float]
    metric: str
    default_number: float
    default_label: str
    decider: str
    challengers: _containers.RepeatedScalarFieldContainer[str]
    shadow: float
    canary: float
    limits: RolloutLimits
    action: RolloutAction
    previous: str
    policy_offset: int
    def __init__(self, datatype: _Optional[str] = ..., tmout: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., rule: _Optional[_Union[Rule, str]] = ..., quorum: _Optional[int] = ..., tolerance: _Optional[float] = ..., average: _Optional[_Union[Average, str]] = ..., quality_by: _Optional[_Union[QualityBy, str]] = ..., weights: _Optional[_Iterable[float]] = ..., metric: _Optional[str] = ..., default_number: _Optional[float] = ..., default_label: _Optional[str] = ..., decider: _Optional[str] = ..., challengers: _Optional[_Iterable[str]] = ..., shadow: _Optional[float] = ..., canary: _Optional[float] = ..., limits: _Optional[_Union[RolloutLimits, _Mapping]] = ..., action: _Optional[_Union[RolloutAction, str]] = ..., previous: _Optional[str] = ..., policy_offset: _Optional[int] = ...) -> None: ...

class RolloutLimits(_message.Message):
    __slots__ = ("window_ms", "least_records", "errors", "disagreement", "latency_ms", "slow", "promote", "roll_back")
    WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    LEAST_RECORDS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DISAGREEMENT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_FIELD_NUMBER: _ClassVar[int]
    ROLL_BACK_FIELD_NUMBER: _ClassVar[int]
    window_ms: int
    least_records: int
    errors: float
    disagreement: float
    latency_ms: float
    slow: float
    promote: bool
    roll_back: bool
    def __init__(self, window_ms: _Optional[int] = ..., least_records: _Optional[int] = ..., errors: _Optional[float] = ..., disagreement: _Optional[float] = ..., latency_ms: _Optional[float] = ..., slow: _Optional[float] = ..., promote: bool = ..., roll_back: bool = ...) -> None: ...

class SpeculativeVote(_message.Message):
    __slots__ = ("model", "model_version", "model_sha256", "number", "label", "outputs", "confidence", "quality", "state", "reason", "detail", "taken_us", "score_us", "shadow", "counted")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TAKEN_US_FIELD_NUMBER: _ClassVar[int]
    SCORE_US_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    model: str
    model_version: str
    model_sha256: str
    number: float
    label: str
    outputs: _containers.RepeatedScalarFieldContainer[float]
    confidence: float
    quality: float
    state: VoteState
    reason: _serving_pb2.Reason
    detail: str
    taken_us: int
    score_us: int
    shadow: bool
    counted: bool
    def __init__(self, model: _Optional[str] = ..., model_version: _Optional[str] = ..., model_sha256: _Optional[str] = ..., number: _Optional[float] = ..., label: _Optional[str] = ..., outputs: _Optional[_Iterable[float]] = ..., confidence: _Optional[float] = ..., quality: _Optional[float] = ..., state: _Optional[_Union[VoteState, str]] = ..., reason: _Optional[_Union[_serving_pb2.Reason, str]] = ..., detail: _Optional[str] = ..., taken_us: _Optional[int] = ..., score_us: _Optional[int] = ..., shadow: bool = ..., counted: bool = ...) -> None: ...

class SpeculativeDecision(_message.Message):
    __slots__ = ("data_type", "number", "label", "outputs", "why", "detail", "at_deadline", "votes", "model_name", "rule", "quorum", "decider", "timeout_ms", "record", "received_at_ms", "decided_at_ms", "latency_us", "late_us")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    AT_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    LATE_US_FIELD_NUMBER: _ClassVar[int]
    data_type: str
    number: float
    label: str
    outputs: _containers.RepeatedScalarFieldContainer[float]
    why: Why
    detail: str
    at_deadline: bool
    votes: _containers.RepeatedCompositeFieldContainer[SpeculativeVote]
    model_name: str
    rule: Rule
    quorum: int
    decider: str
    timeout_ms: int
    record: _serving_pb2.LogPosition
    received_at_ms: int
    decided_at_ms: int
    latency_us: int
    late_us: int
    def __init__(self, data_type: _Optional[str] = ..., number: _Optional[float] = ..., label: _Optional[str] = ..., outputs: _Optional[_Iterable[float]] = ..., why: _Optional[_Union[Why, str]] = ..., detail: _Optional[str] = ..., at_deadline: bool = ..., votes: _Optional[_Iterable[_Union[SpeculativeVote, _Mapping]]] = ..., model_name: _Optional[str] = ..., rule: _Optional[_Union[Rule, str]] = ..., quorum: _Optional[int] = ..., decider: _Optional[str] = ..., timeout_ms: _Optional[int] = ..., record: _Optional[_Union[_serving_pb2.LogPosition, _Mapping]] = ..., received_at_ms: _Optional[int] = ..., decided_at_ms: _Optional[int] = ..., latency_us: _Optional[int] = ..., late_us: _Optional[int] = ...) -> None: ...

class LateAnswer(_message.Message):
    __slots__ = ("data_type", "vote", "record", "why", "agrees", "decided_at_ms", "after_decision_us", "after_deadline_us")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AGREES_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    AFTER_DECISION_US_FIELD_NUMBER: _ClassVar[int]
    AFTER_DEADLINE_US_FIELD_NUMBER: _ClassVar[int]
    data_type: str
    vote: SpeculativeVote
    record: _serving_pb2.LogPosition
    why: Why
    agrees: bool
    decided_at_ms: int
    after_decision_us: int
    after_deadline_us: int
    def __init__(self, data_type: _Optional[str] = ..., vote: _Optional[_Union[SpeculativeVote, _Mapping]] = ..., record: _Optional[_Union[_serving_pb2.LogPosition, _Mapping]] = ..., why: _Optional[_Union[Why, str]] = ..., agrees: bool = ..., decided_at_ms: _Optional[int] = ..., after_decision_us: _Optional[int] = ..., after_deadline_us: _Optional[int] = ...) -> None: ...

class RolloutCounts(_message.Message):
    __slots__ = ("from_ms", "asked", "errors", "slow", "compared", "disagreed", "missing")
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    DISAGREED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    from_ms: int
    asked: int
    errors: int
    slow: int
    compared: int
    disagreed: int
    missing: int
    def __init__(self, from_ms: _Optional[int] = ..., asked: _Optional[int] = ..., errors: _Optional[int] = ..., slow: _Optional[int] = ..., compared: _Optional[int] = ..., disagreed: _Optional[int] = ..., missing: _Optional[int] = ...) -> None: ...

class RolloutState(_message.Message):
    __slots__ = ("schema", "since_ms", "slots")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    since_ms: int
    slots: _containers.RepeatedCompositeFieldContainer[RolloutCounts]
    def __init__(self, schema: _Optional[int] = ..., since_ms: _Optional[int] = ..., slots: _Optional[_Iterable[_Union[RolloutCounts, _Mapping]]] = ...) -> None: ...

class ModelVotes(_message.Message):
    __slots__ = ("schema", "request", "model", "model_version", "model_sha256", "rows", "states", "numbers", "classes", "label_index", "outputs", "confidence", "metrics", "failures", "detail", "taken_us", "score_us")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    LABEL_INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TAKEN_US_FIELD_NUMBER: _ClassVar[int]
    SCORE_US_FIELD_NUMBER: _ClassVar[int]
    schema: int
    request: str
    model: str
    model_version: str
    model_sha256: str
    rows: bytes
    states: bytes
    numbers: bytes
    classes: _containers.RepeatedScalarFieldContainer[str]
    label_index: bytes
    outputs: bytes
    confidence: bytes
    metrics: _containers.ScalarMap[str, float]
    failures: _containers.RepeatedCompositeFieldContainer[VoteFailure]
    detail: str
    taken_us: int
    score_us: int
    def __init__(self, schema: _Optional[int] = ..., request: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., model_sha256: _Optional[str] = ..., rows: _Optional[bytes] = ..., states: _Optional[bytes] = ..., numbers: _Optional[bytes] = ..., classes: _Optional[_Iterable[str]] = ..., label_index: _Optional[bytes] = ..., outputs: _Optional[bytes] = ..., confidence: _Optional[bytes] = ..., metrics: _Optional[_Mapping[str, float]] = ..., failures: _Optional[_Iterable[_Union[VoteFailure, _Mapping]]] = ..., detail: _Optional[str] = ..., taken_us: _Optional[int] = ..., score_us: _Optional[int] = ...) -> None: ...

class VoteFailure(_message.Message):
    __slots__ = ("row", "reason", "detail")
    ROW_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    row: int
    reason: _serving_pb2.Reason
    detail: str
    def __init__(self, row: _Optional[int] = ..., reason: _Optional[_Union[_serving_pb2.Reason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class RequestState(_message.Message):
    __slots__ = ("schema", "policy", "received_us", "rows", "models", "asked", "voting", "votes", "why", "numbers", "labels", "label_names", "decided_us")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    VOTING_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_NAMES_FIELD_NUMBER: _ClassVar[int]
    DECIDED_US_FIELD_NUMBER: _ClassVar[int]
    schema: int
    policy: SpeculativeControl
    received_us: int
    rows: int
    models: _containers.RepeatedScalarFieldContainer[str]
    asked: bytes
    voting: bytes
    votes: _containers.RepeatedCompositeFieldContainer[ModelVotes]
    why: bytes
    numbers: bytes
    labels: bytes
    label_names: _containers.RepeatedScalarFieldContainer[str]
    decided_us: bytes
    def __init__(self, schema: _Optional[int] = ..., policy: _Optional[_Union[SpeculativeControl, _Mapping]] = ..., received_us: _Optional[int] = ..., rows: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., asked: _Optional[bytes] = ..., voting: _Optional[bytes] = ..., votes: _Optional[_Iterable[_Union[ModelVotes, _Mapping]]] = ..., why: _Optional[bytes] = ..., numbers: _Optional[bytes] = ..., labels: _Optional[bytes] = ..., label_names: _Optional[_Iterable[str]] = ..., decided_us: _Optional[bytes] = ...) -> None: ...

class HeldPolicy(_message.Message):
    __slots__ = ("schema", "offset", "policy", "lanes")
    class LanesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    schema: int
    offset: int
    policy: SpeculativeControl
    lanes: _containers.ScalarMap[str, int]
    def __init__(self, schema: _Optional[int] = ..., offset: _Optional[int] = ..., policy: _Optional[_Union[SpeculativeControl, _Mapping]] = ..., lanes: _Optional[_Mapping[str, int]] = ...) -> None: ...

class RequestOpening(_message.Message):
    __slots__ = ("schema", "request", "records", "policy_offset")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    POLICY_OFFSET_FIELD_NUMBER: _ClassVar[int]
    schema: int
    request: RequestState
    records: bytes
    policy_offset: int
    def __init__(self, schema: _Optional[int] = ..., request: _Optional[_Union[RequestState, _Mapping]] = ..., records: _Optional[bytes] = ..., policy_offset: _Optional[int] = ...) -> None: ...

class LaneTask(_message.Message):
    __slots__ = ("schema", "request", "data_type", "model", "rows", "batch", "deadline_us")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_US_FIELD_NUMBER: _ClassVar[int]
    schema: int
    request: str
    data_type: str
    model: str
    rows: bytes
    batch: bytes
    deadline_us: int
    def __init__(self, schema: _Optional[int] = ..., request: _Optional[str] = ..., data_type: _Optional[str] = ..., model: _Optional[str] = ..., rows: _Optional[bytes] = ..., batch: _Optional[bytes] = ..., deadline_us: _Optional[int] = ...) -> None: ...

class RolloutSample(_message.Message):
    __slots__ = ("schema", "policy", "policy_offset", "counts")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_OFFSET_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    policy: SpeculativeControl
    policy_offset: int
    counts: RolloutCounts
    def __init__(self, schema: _Optional[int] = ..., policy: _Optional[_Union[SpeculativeControl, _Mapping]] = ..., policy_offset: _Optional[int] = ..., counts: _Optional[_Union[RolloutCounts, _Mapping]] = ...) -> None: ...

class RolloutWatch(_message.Message):
    __slots__ = ("schema", "policy_offset", "window", "judged")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    POLICY_OFFSET_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    JUDGED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    policy_offset: int
    window: RolloutState
    judged: bool
    def __init__(self, schema: _Optional[int] = ..., policy_offset: _Optional[int] = ..., window: _Optional[_Union[RolloutState, _Mapping]] = ..., judged: bool = ...) -> None: ...
