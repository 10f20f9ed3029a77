"""Starting: a batch of records and the policy of its data type become a request, and a task for each model asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modelserving.arrow import byte_strings, from_ipc, to_ipc
from modelserving.decoding import TypedBatch
from modelserving.errors import ModelServingError
from modelserving.speculative.policies import Holding
from modelserving.speculative.request import Request
from modelserving.speculative.request_state import request_message
from modelserving.speculative.routing import route
from modelserving.speculative.tasks import Task
from modelserving.wire.speculative_pb2 import LaneTask, RequestOpening

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Started:
    """A request, as messages to the operators that go on with it."""

    request: str
    """Its name: no other request of the job has it."""
    opening: bytes
    """An encoded `RequestOpening`."""
    tasks: Sequence[tuple[int, bytes]]
    """For each model that is asked, the number of its lane and an encoded `LaneTask`."""


def start(batch: TypedBatch, holding: Holding, *, same_key: bool = False) -> Started:
    """Start a request for a batch of records.

    Args:
        batch: the records.
        holding: the policy of their data type.
        same_key: all records of the data type have the same key, which says what they are, and so tells none apart.
    """
    policy, records = holding.policy, batch.records
    partitions, offsets = records.column("partition").to_pylist(), records.column("offset").to_pylist()
    # A record is in one request alone.
    name = f"{batch.data_type}/{partitions[0]}/{offsets[0]}"
    keys = byte_strings(records.column("key"))
    identities = [
        b"%d:%d" % (partition, offset) if same_key or key is None else key
        for key, partition, offset in zip(keys, partitions, offsets, strict=True)
    ]
    request = Request(policy, route(policy, identities), batch.received_us, holding.decider)
    # Of the records, all but what was in them: decisions name them by their key and place.
    places = to_ipc(records.drop_columns("value"))
    opening = RequestOpening(
        schema=SCHEMA, request=request_message(request), records=places, policy_offset=holding.offset
    )
    features = batch.batch.select([column for column in batch.batch.schema.names if not column.startswith("@")])
    whole = to_ipc(features)
    tasks = []
    for model, rows in request.outstanding():
        task = LaneTask(
            schema=SCHEMA,
            request=name,
            data_type=batch.data_type,
            model=model,
            rows=rows.astype("<i4").tobytes(),
            batch=whole if len(rows) == features.num_rows else to_ipc(features.take(pa.array(rows))),
            deadline_us=request.deadline_us,
        )
        tasks.append((holding.lanes[model], task.SerializeToString()))
    return Started(name, opening.SerializeToString(), tasks)


def decode_task(encoded: bytes) -> tuple[str, str, Task]:
    """Data type, model and task of an encoded `LaneTask`.

    Raises:
        ModelServingError: it is of a later release.
    """
    message = LaneTask.FromString(encoded)
    if message.schema > SCHEMA:
        raise ModelServingError(f"a task of schema {message.schema} was written by a later release than this")
    rows = np.frombuffer(message.rows, "<i4")
    return message.data_type, message.model, Task(message.request, rows, from_ipc(message.batch), message.deadline_us)
