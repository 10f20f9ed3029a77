from modelserving.wire import model_pb2 as _model_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AdmittedModel(_message.Message):
    __slots__ = ("offset", "descriptor")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    offset: int
    descriptor: _model_pb2.ModelDescriptor
    def __init__(self, offset: _Optional[int] = ..., descriptor: _Optional[_Union[_model_pb2.ModelDescriptor, _Mapping]] = ...) -> None: ...

class ServingState(_message.Message):
    __slots__ = ("schema", "serving", "last_good")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    LAST_GOOD_FIELD_NUMBER: _ClassVar[int]
    schema: int
    serving: AdmittedModel
    last_good: AdmittedModel
    def __init__(self, schema: _Optional[int] = ..., serving: _Optional[_Union[AdmittedModel, _Mapping]] = ..., last_good: _Optional[_Union[AdmittedModel, _Mapping]] = ...) -> None: ...

class AdmissionState(_message.Message):
    __slots__ = ("schema", "applied_offset", "serving", "repeated")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    APPLIED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    applied_offset: int
    serving: _model_pb2.ModelDescriptor
    repeated: int
    def __init__(self, schema: _Optional[int] = ..., applied_offset: _Optional[int] = ..., serving: _Optional[_Union[_model_pb2.ModelDescriptor, _Mapping]] = ..., repeated: _Optional[int] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("schema", "data_type", "admitted")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    data_type: str
    admitted: AdmittedModel
    def __init__(self, schema: _Optional[int] = ..., data_type: _Optional[str] = ..., admitted: _Optional[_Union[AdmittedModel, _Mapping]] = ...) -> None: ...
