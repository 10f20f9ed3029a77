from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENSORFLOW: _ClassVar[ModelType]
    TENSORFLOWSAVED: _ClassVar[ModelType]
    PMML: _ClassVar[ModelType]
    ONNX: _ClassVar[ModelType]
    PFA: _ClassVar[ModelType]

class Answer(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUTOMATIC: _ClassVar[Answer]
    LABEL: _ClassVar[Answer]
    NUMBER: _ClassVar[Answer]
    VECTOR: _ClassVar[Answer]
TENSORFLOW: ModelType
TENSORFLOWSAVED: ModelType
PMML: ModelType
ONNX: ModelType
PFA: ModelType
AUTOMATIC: Answer
LABEL: Answer
NUMBER: Answer
VECTOR: Answer

class ModelDescriptor(_message.Message):
    __slots__ = ("name", "description", "dataType", "modeltype", "data", "location", "version", "created_at_ms", "sha256", "metrics", "inputs", "input_tensor", "output_tensor", "signature", "tags", "answer", "labels", "retire", "activation_ms")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DATATYPE_FIELD_NUMBER: _ClassVar[int]
    MODELTYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TENSOR_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TENSOR_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RETIRE_FIELD_NUMBER: _ClassVar[int]
    ACTIVATION_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    dataType: str
    modeltype: ModelType
    data: bytes
    location: str
    version: str
    created_at_ms: int
    sha256: str
    metrics: _containers.ScalarMap[str, float]
    inputs: _containers.RepeatedScalarFieldContainer[str]
    input_tensor: str
    output_tensor: str
    signature: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    answer: Answer
    labels: _containers.RepeatedScalarFieldContainer[str]
    retire: bool
    activation_ms: int
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., dataType: _Optional[str] = ..., modeltype: _Optional[_Union[ModelType, str]] = ..., data: _Optional[bytes] = ..., location: _Optional[str] = ..., version: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., sha256: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., inputs: _Optional[_Iterable[str]] = ..., input_tensor: _Optional[str] = ..., output_tensor: _Optional[str] = ..., signature: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., answer: _Optional[_Union[Answer, str]] = ..., labels: _Optional[_Iterable[str]] = ..., retire: bool = ..., activation_ms: _Optional[int] = ...) -> None: ...
