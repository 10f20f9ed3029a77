"""`modelserving send`: put the rows of a CSV file on the topic of records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import click
from kafka import KafkaProducer

from modelserving import topics as topics_module
from modelserving.cli.encoding import Encode, encoders, read_csv
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.configuration import load_data_types
from modelserving.data_types import DataType, RouteBy
from modelserving.errors import ConfigurationError
from modelserving.topics import MAX_BATCH_BYTES, Topics

FLUSH_LIMIT_S = 60.0


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.csv")
@click.option("--data-type", required=True, help="Data type of the records.")
@click.option(
    "--data-types",
    "configuration",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of data types.  [default: the wine example]",
)
@click.option("--count", type=click.IntRange(min=1), help="Records to send, from the top again after the last row.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Records per second; as fast as can be without."
)
@click.option("--delimiter", help="Between columns.  [default: of ; tab , the first that the first line holds]")
@BOOTSTRAP_SERVERS
@TOPICS
def send(
    *,
    file: Path,
    data_type: str,
    configuration: Path | None,
    count: int | None,
    rate: float | None,
    delimiter: str | None,
    bootstrap_servers: str,
    topics: Topics,
) -> None:
    """Send the rows of FILE.csv as records: columns in the order of the features, or under their names."""
    if delimiter is not None and len(delimiter) != 1:
        raise click.BadParameter("must be one character", param_hint="--delimiter")
    kind = _data_type(data_type, configuration)
    encoded = list(encoders(read_csv(file, kind, delimiter), kind))
    chosen: Iterator[Encode] = islice(cycle(encoded), count or len(encoded))
    if rate is not None:
        chosen = _paced(chosen, rate, time.monotonic, time.sleep)
    topics_module.check(bootstrap_servers, topics)
    sent = _send(chosen, kind, bootstrap_servers, topics)
    click.echo(f"{data_type} records sent to {topics.records}: {sent}")


def _data_type(name: str, configuration: Path | None) -> DataType:
    data_types = load_data_types(configuration)
    found = data_types.get(name)
    if found is None:
        raise ConfigurationError(
            f"no data type {name!r}; there are {', '.join(data_types.names)}: correct --data-type or --data-types"
        )
    return found


def _paced(
    items: Iterator[Encode], rate: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Encode]:
    """The items, the n-th not before n / rate seconds; after a delay the following ones catch up."""
    start = clock()
    for number, item in enumerate(items):
        wait = start + number / rate - clock()
        if wait > 0:
            sleep(wait)
        yield item


def _send(encoded: Iterator[Encode], data_type: DataType, bootstrap_servers: str, topics: Topics) -> int:
    """Send the records and wait until all of them are on the log; Ctrl-C ends it early. How many there were."""
    key = data_type.route.value.encode() if data_type.route.by is RouteBy.KEY else None
    failures: list[BaseException] = []
    sent = 0
    with topics_module.translated_errors(bootstrap_servers):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=topics_module.CONNECT_LIMIT_MS,
            max_block_ms=topics_module.CONNECT_LIMIT_MS,
            max_request_size=MAX_BATCH_BYTES,
            batch_size=64 * 1024,
            linger_ms=5,
        )
        try:
            for encode in encoded:
                message = encode(time.time_ns() // 1_000_000)
                producer.send(topics.records, message, key=key).add_errback(failures.append)
                sent += 1
                if failures:
                    break
        except KeyboardInterrupt:
            pass
        finally:
            producer.flush(timeout=FLUSH_LIMIT_S)
            producer.close(timeout=1)
        if failures:
            raise failures[0]
    return sent
