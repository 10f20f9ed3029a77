"""The protobuf codec: messages of one proto3 type to Arrow, a whole batch in one call of ptars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray
from ptars import HandlerPool, PtarsConfig

from modelserving.arrow import ARROW_TYPES, byte_strings
from modelserving.codecs import Messages
from modelserving.data_types import CodecConfig, Feature, FeatureKind
from modelserving.errors import ConfigurationError
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason


def build(config: CodecConfig) -> ProtobufCodec:
    """The codec of the message `config.message` in `config.descriptor_set`.

    Raises:
        ConfigurationError: the descriptor set is not one, is incomplete, or lacks the message.
    """
    files = descriptor_pb2.FileDescriptorSet()
    pool = descriptor_pool.DescriptorPool()
    try:
        files.ParseFromString(config.descriptor_set)
        for file in files.file:
            pool.Add(file)
        for file in files.file:
            pool.FindFileByName(file.name)
    except (DecodeError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"descriptor_set: not a complete descriptor set ({error}); "
            "make it with protoc --include_imports --descriptor_set_out"
        ) from error
    try:
        descriptor = pool.FindMessageTypeByName(config.message)
    except KeyError as error:
        raise ConfigurationError(
            f"message: {config.message!r} is not in the descriptor set; name one of its messages, package included"
        ) from error
    syntax = next(file.syntax for file in files.file if file.name == descriptor.file.name)
    if syntax != "proto3":
        raise ConfigurationError(f"message: {config.message!r} is not declared with proto3 syntax; only proto3 is read")
    return ProtobufCodec(descriptor)


class ProtobufCodec:
    """Reads messages of one proto3 type."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._message: type[Message] = message_factory.GetMessageClass(descriptor)
        # An enum is a category, by the name of its value (an unknown value by its number).
        self._handler = HandlerPool([descriptor.file], PtarsConfig(enum_repr="string")).get_for_message(descriptor)

    def check(self, feature: Feature) -> None:
        """See `Codec.check`."""
        field: Any = self._descriptor.fields_by_name.get(feature.name)
        if field is None:
            known = ", ".join(self._descriptor.fields_by_name)
            raise ConfigurationError(
                f"{feature.name!r} is no field of {self._descriptor.full_name}; name one of {known}"
            )
        kind = None if field.label == FieldDescriptor.LABEL_REPEATED else _KINDS.get(field.cpp_type)
        if field.type == FieldDescriptor.TYPE_BYTES or kind is None:
            raise ConfigurationError(
                f"{feature.name!r} of {self._descriptor.full_name} is neither a single number, bool, string nor enum, "
                "so it cannot be used; name another field"
            )
        if kind is not feature.kind:
            raise ConfigurationError(
                f"{feature.name!r} of {self._descriptor.full_name} is a {kind.value}, not a {feature.kind.value}; "
                f'set its kind to "{kind.value}"'
            )

    def decode(self, values: pa.Array) -> tuple[Messages, list[RecordFailure]]:
        """See `Codec.decode`. Refused is exactly what the protobuf library refuses."""
        rows = np.arange(len(values))
        batch = _attempt(self._handler.array_to_record_batch, values)
        # ptars lets pass some of what protobuf refuses (groups that do not match, tags that are too long). What is
        # encoded again to the same bytes is sound; the rest is put to the protobuf library.
        failures = self._refused(values, rows if batch is None else self._changed(batch, values))
        good = np.setdiff1d(rows, [failure.row for failure in failures]) if failures else rows
        if batch is not None:
            return ProtobufMessages(batch.take(good) if failures else batch), failures
        batch = _attempt(self._handler.array_to_record_batch, values.take(good))
        if batch is None:
            # Not seen so far: ptars refuses what protobuf accepts. Find out which, for the sake of the others.
            failures += [
                RecordFailure(row, Reason.MALFORMED, f"not readable as {self._descriptor.full_name}")
                for row in good.tolist()
                if _attempt(self._handler.array_to_record_batch, values.slice(row, 1)) is None
            ]
            good = np.setdiff1d(rows, [failure.row for failure in failures])
            batch = self._handler.array_to_record_batch(values.take(good))
        return ProtobufMessages(batch), failures

    def _changed(self, batch: pa.RecordBatch, values: pa.Array) -> NDArray[np.int64]:
        """The rows that are encoded to other bytes than they were decoded from."""
        encoded = _attempt(self._handler.record_batch_to_array, batch)
        if encoded is None:
            return np.arange(len(values))
        if encoded.equals(values):
            return np.empty(0, np.int64)
        return np.flatnonzero(pc.not_equal(encoded, values).to_numpy(zero_copy_only=False))

    def _refused(self, values: pa.Array, rows: NDArray[np.int64]) -> list[RecordFailure]:
        """The rows among `rows` that the protobuf library refuses."""
        if not rows.size:
            return []
        parse = self._message.FromString
        detail = f"not a protobuf message {self._descriptor.full_name}"
        failures = []
        for row, value in zip(rows.tolist(), byte_strings(values.take(rows)), strict=True):
            try:
                parse(value)
            except DecodeError:
                failures.append(RecordFailure(row, Reason.MALFORMED, detail))
        return failures


class ProtobufMessages:
    """Decoded messages: one Arrow column for each field."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def text(self, field: str) -> pa.Array:
        """See `Messages.text`."""
        return self._batch.column(field)

    def take(self, rows: pa.Array) -> ProtobufMessages:
        """See `Messages.take`."""
        return ProtobufMessages(self._batch.take(rows))

    def columns(self, features: Sequence[Feature]) -> tuple[list[pa.Array], list[RecordFailure]]:
        """See `Messages.columns`; the wire types leave nothing that does not fit."""
        # safe=False: a 64-bit integer beyond 2^53 becomes the nearest double.
        return [self._batch.column(f.name).cast(ARROW_TYPES[f.kind], safe=False) for f in features], []


def _attempt(function: Callable[[Any], Any], argument: Any) -> Any:
    """What the function of ptars returns, or None if it refuses: for a batch it does not say for which message."""
    try:
        return function(argument)
    except ValueError:
        return None
    except BaseException as error:
        # A length beyond the end of memory makes it panic, and a panic is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        return None


_KINDS: dict[Any, FeatureKind] = {
    FieldDescriptor.CPPTYPE_INT32: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_INT64: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_UINT32: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_UINT64: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_DOUBLE: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_BOOL: FeatureKind.NUMBER,
    FieldDescriptor.CPPTYPE_STRING: FeatureKind.STRING,
    FieldDescriptor.CPPTYPE_ENUM: FeatureKind.STRING,
}
