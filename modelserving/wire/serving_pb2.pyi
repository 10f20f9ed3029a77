from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    MALFORMED: _ClassVar[Reason]
    UNKNOWN_DATA_TYPE: _ClassVar[Reason]
    NO_MODEL: _ClassVar[Reason]
    MISSING_FEATURE: _ClassVar[Reason]
    WRONG_TYPE: _ClassVar[Reason]
    INVALID_VALUE: _ClassVar[Reason]
    MODEL_FAILED: _ClassVar[Reason]
    NO_POLICY: _ClassVar[Reason]
    CONFLICT: _ClassVar[Reason]
    OVERSIZE: _ClassVar[Reason]
    UNLOADABLE: _ClassVar[Reason]
    UNSAFE: _ClassVar[Reason]
    LOCATION: _ClassVar[Reason]
    UNTRUSTED: _ClassVar[Reason]
    FAILED_GATE: _ClassVar[Reason]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_UNSPECIFIED: _ClassVar[EventKind]
    RECEIVED: _ClassVar[EventKind]
    REJECTED: _ClassVar[EventKind]
    SCHEDULED: _ClassVar[EventKind]
    ADMITTED: _ClassVar[EventKind]
    LOADING: _ClassVar[EventKind]
    LOAD_FAILED: _ClassVar[EventKind]
    SERVING: _ClassVar[EventKind]
    REPLACED: _ClassVar[EventKind]
    RETIRED: _ClassVar[EventKind]
    DRIFT: _ClassVar[EventKind]
    POLICY_CHANGED: _ClassVar[EventKind]
    POLICY_REFUSED: _ClassVar[EventKind]
    PROMOTED: _ClassVar[EventKind]
    ROLLED_BACK: _ClassVar[EventKind]
    ROLLOUT_JUDGED: _ClassVar[EventKind]
REASON_UNSPECIFIED: Reason
MALFORMED: Reason
UNKNOWN_DATA_TYPE: Reason
NO_MODEL: Reason
MISSING_FEATURE: Reason
WRONG_TYPE: Reason
INVALID_VALUE: Reason
MODEL_FAILED: Reason
NO_POLICY: Reason
CONFLICT: Reason
OVERSIZE: Reason
UNLOADABLE: Reason
UNSAFE: Reason
LOCATION: Reason
UNTRUSTED: Reason
FAILED_GATE: Reason
EVENT_UNSPECIFIED: EventKind
RECEIVED: EventKind
REJECTED: EventKind
SCHEDULED: EventKind
ADMITTED: EventKind
LOADING: EventKind
LOAD_FAILED: EventKind
SERVING: EventKind
REPLACED: EventKind
RETIRED: EventKind
DRIFT: EventKind
POLICY_CHANGED: EventKind
POLICY_REFUSED: EventKind
PROMOTED: EventKind
ROLLED_BACK: EventKind
ROLLOUT_JUDGED: EventKind

class LogPosition(_message.Message):
    __slots__ = ("topic", "partition", "offset", "timestamp_ms")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., timestamp_ms: _Optional[int] = ...) -> None: ...

class ServingResult(_message.Message):
    __slots__ = ("data_type", "model_name", "model_version", "model_sha256", "number", "label", "probabilities", "outputs", "record", "scored_at_ms", "latency_us")
    class ProbabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    SCORED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    data_type: str
    model_name: str
    model_version: str
    model_sha256: str
    number: float
    label: str
    probabilities: _containers.ScalarMap[str, float]
    outputs: _containers.RepeatedScalarFieldContainer[float]
    record: LogPosition
    scored_at_ms: int
    latency_us: int
    def __init__(self, data_type: _Optional[str] = ..., model_name: _Optional[str] = ..., model_version: _Optional[str] = ..., model_sha256: _Optional[str] = ..., number: _Optional[float] = ..., label: _Optional[str] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., outputs: _Optional[_Iterable[float]] = ..., record: _Optional[_Union[LogPosition, _Mapping]] = ..., scored_at_ms: _Optional[int] = ..., latency_us: _Optional[int] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("reason", "detail", "original", "position", "rejected_at_ms", "data_type", "model_name", "model_version")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REJECTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    detail: str
    original: bytes
    position: LogPosition
    rejected_at_ms: int
    data_type: str
    model_name: str
    model_version: str
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., detail: _Optional[str] = ..., original: _Optional[bytes] = ..., position: _Optional[_Union[LogPosition, _Mapping]] = ..., rejected_at_ms: _Optional[int] = ..., data_type: _Optional[str] = ..., model_name: _Optional[str] = ..., model_version: _Optional[str] = ...) -> None: ...

class ModelEvent(_message.Message):
    __slots__ = ("kind", "data_type", "model_name", "model_version", "model_sha256", "at_ms", "instance", "reason", "detail", "position")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_SHA256_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    kind: EventKind
    data_type: str
    model_name: str
    model_version: str
    model_sha256: str
    at_ms: int
    instance: str
    reason: Reason
    detail: str
    position: LogPosition
    def __init__(self, kind: _Optional[_Union[EventKind, str]] = ..., data_type: _Optional[str] = ..., model_name: _Optional[str] = ..., model_version: _Optional[str] = ..., model_sha256: _Optional[str] = ..., at_ms: _Optional[int] = ..., instance: _Optional[str] = ..., reason: _Optional[_Union[Reason, str]] = ..., detail: _Optional[str] = ..., position: _Optional[_Union[LogPosition, _Mapping]] = ...) -> None: ...
