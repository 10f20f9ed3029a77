"""The query service beside a busy job: how soon it answers, and what it takes when nobody asks.

python -m bench.query_service --help
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import click
import numpy as np
import psutil
from numpy.typing import NDArray

from bench.load import Load
from bench.models import for_each
from bench.site import LIVE, Site
from bench.watch import Watch
from modelserving.demo.query_service import QueryService
from modelserving.local.broker import LocalBroker, free_port

SETTLE_S = 10.0
"""For the service to read what there is."""


@click.command(context_settings={"show_default": True})
@click.option("--rate", default=10_000, help="Records/s that the job scores meanwhile.")
@click.option("--connections", default=200, help="Each asks /api/stats once a second.")
@click.option("--seconds", default=30.0, help="Of asking; of rest before it.")
@click.option("--model", default="tensorflow")
def main(rate: int, connections: int, seconds: float, model: str) -> None:
    """Ask the query service while a job scores; print quantiles of its answers, and its processor time at rest."""
    with TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka", free_port()) as broker:
        site = Site(broker.bootstrap_servers, Path(folder))
        with (
            site.job("partitioned", for_each(model), LIVE) as job,
            site.written(LIVE) as written,
            QueryService(Path(folder), broker.bootstrap_servers, LIVE.prefix) as service,
        ):
            watch = Watch(job, written)
            watch.for_seconds(SETTLE_S)
            share = _share_of_a_core(service.pid, watch, seconds)
            click.echo(f"at rest: {share:.2%} of a core")
            with Load(broker.bootstrap_servers, LIVE.records, rate):
                watch.until(lambda count, _: count > 0)
                watch.for_seconds(seconds)
                before, begin = written(), time.monotonic()
                taken_ms = asyncio.run(_ask(service.url, connections, seconds)) * 1000
                rate_seen = (written() - before) / (time.monotonic() - begin)
            p50, p99, most = np.percentile(taken_ms, (50, 99, 100))
            click.echo(f"while the job scored {rate_seen:,.0f} records/s:")
            click.echo(f"{len(taken_ms)} answers: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {most:.1f} ms")


def _share_of_a_core(pid: int, watch: Watch, seconds: float) -> float:
    process = psutil.Process(pid)
    before = process.cpu_times()
    watch.for_seconds(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds


async def _ask(url: str, connections: int, seconds: float) -> NDArray[np.float64]:
    """Seconds that each answer took; each client begins at another moment of its second."""
    taken: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def client(number: int) -> None:
            begin = time.monotonic() + number / connections
            for turn in range(int(seconds)):
                await asyncio.sleep(max(0.0, begin + turn - time.monotonic()))
                async with session.get(f"{url}api/stats") as response:
                    response.raise_for_status()
                    await response.read()
                taken.append(time.monotonic() - begin - turn)  # also what it waited for a late client

        await asyncio.gather(*(client(number) for number in range(connections)))
    return np.array(taken)


if __name__ == "__main__":
    main()
