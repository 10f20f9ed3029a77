"""The control stream read from its beginning: how a worker without state learns which policies hold.

A cold start may find a backlog of records and of control messages, and nothing orders a policy before the records that
it is for. So the first batch of a data type without a policy waits until the stream was read once to its end.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from modelserving.single_log import single_log
from modelserving.speculative.policies import Policies, data_type_of
from modelserving.wire.speculative_pb2 import HeldPolicy

_shared: dict[tuple[str, str], dict[str, HeldPolicy]] = {}
_shared_lock = threading.Lock()


def newest_policies_once(bootstrap_servers: str, topic: str, policies: Policies) -> Mapping[str, HeldPolicy]:
    """`newest_policies`, read once for a worker process and shared by all its functions."""
    with _shared_lock:
        key = (bootstrap_servers, topic)
        if key not in _shared:
            _shared[key] = newest_policies(bootstrap_servers, topic, policies)
        return _shared[key]


def newest_policies(bootstrap_servers: str, topic: str, policies: Policies) -> dict[str, HeldPolicy]:
    """Data type → the policy that holds after all messages that are there now.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    found: dict[str, HeldPolicy] = {}

    def take_in(record: Any) -> None:
        data_type = data_type_of(record.value)
        state = policies.take_in(found.get(data_type), record.value, record.offset).state
        if state is not None:
            found[data_type] = state

    with single_log(bootstrap_servers, topic) as control:
        control.read_all(take_in)
    return found
