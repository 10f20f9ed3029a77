"""`modelserving query`: the service that tells what the job does, over HTTP."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import click

from modelserving import topics as topics_module
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.topics import Topics


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen at; 0 for a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the token that clients must show; needed at any address but this machine's own.",
)
@BOOTSTRAP_SERVERS
@TOPICS
def query(*, host: str, port: int, token_file: Path | None, bootstrap_servers: str, topics: Topics) -> None:
    """Tell what the job does over HTTP: a page for people, JSON for programs, until Ctrl-C."""
    # Only this command needs them: the others start sooner without.
    from modelserving.query import server  # noqa: PLC0415
    from modelserving.query.app import application  # noqa: PLC0415
    from modelserving.query.service import of_broker  # noqa: PLC0415

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Kafka's client tells of each attempt to connect to a broker that is away; /readyz tells it too.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    token = server.read_token(token_file)
    server.need_token(host, token)
    topics_module.check(bootstrap_servers, topics, topics.told)
    with server.listen(host, port) as listening:
        service = of_broker(bootstrap_servers, topics)
        click.echo(f"query service at {server.url_of(listening)}")
        with suppress(KeyboardInterrupt):
            server.Server(application(service, token), service.hub).run(sockets=[listening])
