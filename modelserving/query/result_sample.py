"""A sample of the newest results, read when somebody asks: of all results nobody could keep up with a look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from modelserving.errors import BrokerError
from modelserving.query import messages
from modelserving.query.consumer import open_consumer, partitions_of
from modelserving.query.encoding import encode
from modelserving.query.recent import Recent
from modelserving.topics import translated_errors
from modelserving.wire.serving_pb2 import ServingResult

MOST_RESULTS = 500
FRESH_S = 1.0
"""A sample is read again only if it is older."""
FAILED_S = 5.0
"""After a failure nobody waits for another one for so long."""
READ_LIMIT_S = 10.0
_POLL_MS = 200
_FETCH_BYTES = 256 * 1024


class ResultSample:
    """The newest results of each partition.

    Args:
        clock_s: seconds that only grow.
    """

    def __init__(self, bootstrap_servers: str, topic: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._clock_s = clock_s
        self._lock = asyncio.Lock()
        self._consumer: Any = None
        self._sample = Recent(MOST_RESULTS)
        self._next_s = 0.0
        self._fault = ""

    async def newest(self, limit: int) -> list[bytes]:
        """At most `limit` results, encoded, newest first; not older than `FRESH_S`, as far as the topic has newer ones.

        Raises:
            BrokerError: the topic cannot be read.
        """
        async with self._lock:
            if self._clock_s() >= self._next_s:
                await asyncio.to_thread(self._refresh)
            if self._fault:
                raise BrokerError(self._fault)
            return self._sample.newest(limit)

    async def close(self) -> None:
        """Leave the broker."""
        async with self._lock:
            await asyncio.to_thread(self._close)

    def _refresh(self) -> None:
        try:
            with translated_errors(self._bootstrap_servers):
                self._sample = self._read()
        except BrokerError as error:
            self._fault = str(error)
            self._close()
            self._next_s = self._clock_s() + FAILED_S
        else:
            self._fault = ""
            self._next_s = self._clock_s() + FRESH_S

    def _read(self) -> Recent:
        """The last messages of each partition.

        Raises:
            BrokerError: they are not there in time.
        """
        if self._consumer is None:
            self._consumer = open_consumer(self._bootstrap_servers, fetch_bytes=_FETCH_BYTES, offset_reset="earliest")
        try:
            partitions = partitions_of(self._consumer, self._topic)
        except BrokerError:
            return Recent(MOST_RESULTS)  # where only the speculative job runs, nobody makes it
        ends = self._consumer.end_offsets(partitions, timeout_ms=int(READ_LIMIT_S * 1000))
        self._consumer.assign(partitions)
        each = MOST_RESULTS // len(partitions) + 1
        for partition in partitions:
            self._consumer.seek(partition, max(0, ends[partition] - each))
        sample = Recent(MOST_RESULTS)
        unread = {partition for partition in partitions if ends[partition] > 0}
        deadline_s = self._clock_s() + READ_LIMIT_S
        while unread:
            if self._clock_s() > deadline_s:
                raise BrokerError(f"the newest results could not be read within {READ_LIMIT_S:.0f} s")
            for records in self._consumer.poll(timeout_ms=_POLL_MS, max_records=MOST_RESULTS).values():
                for record in records:
                    _add(sample, record)
            positions = {one: self._consumer.position(one, timeout_ms=_POLL_MS) for one in unread}
            unread = {one for one, position in positions.items() if position is None or position < ends[one]}
        return sample

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(timeout_ms=1000)
            self._consumer = None


def _add(sample: Recent, record: Any) -> None:
    if not record.value:
        return
    try:
        result = ServingResult.FromString(record.value)
    except DecodeError:
        return
    sample.add((result.scored_at_ms, record.partition, record.offset), encode(messages.result(result)))
