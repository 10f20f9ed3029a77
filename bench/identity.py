"""The per-record identity pipeline: what a PyFlink job costs that does nothing but hand each record through Python."""

from __future__ import annotations

import click
from pyflink.common import Row, Types

from bench.unbatched import UNBATCHED
from modelserving.configuration import load_data_types
from modelserving.flink import rows, tables
from modelserving.flink.environment import environments, run
from modelserving.flink.options import DELIVERIES, JobOptions
from modelserving.topics import Topics


@click.command()
@click.option("--bootstrap-servers", required=True)
@click.option("--topic-prefix", default="")
@click.option("--name", required=True)
@click.option("--parallelism", type=int, default=1)
@click.option("--delivery", type=click.Choice(DELIVERIES), default="exactly-once")
@click.option("--checkpoint-interval", type=int, default=2000)
def main(
    *, bootstrap_servers: str, topic_prefix: str, name: str, parallelism: int, delivery: str, checkpoint_interval: int
) -> None:
    """Copy every record from the records topic to the results topic, one by one, through a Python map."""
    options = JobOptions(
        join="none",
        bootstrap_servers=bootstrap_servers,
        topics=Topics(topic_prefix),
        data_types=load_data_types(None),
        name=name,
        start="earliest",
        delivery=delivery,
        checkpoint_interval_ms=checkpoint_interval,
        parallelism=parallelism,
        configuration=UNBATCHED,
    )
    with environments(options) as (stream, table):
        table.execute_sql(tables.records_table(options))
        table.execute_sql(tables.outputs_table(options))
        query = f"SELECT '{options.topics.results}' AS topic, record_key AS k, record_value AS v FROM record_log"  # noqa: S608
        copied = table.to_data_stream(table.sql_query(query)).map(
            _identity, output_type=Types.ROW_NAMED(["topic", "k", "v"], [Types.STRING(), rows.BYTES, rows.BYTES])
        )
        table.create_temporary_view("copied", table.from_data_stream(copied))
        statements = table.create_statement_set()
        statements.add_insert_sql("INSERT INTO outputs SELECT topic, k, v FROM copied")
        statements.attach_as_datastream()
        run(stream, name)


def _identity(row: Row) -> Row:
    return row


if __name__ == "__main__":
    main()
