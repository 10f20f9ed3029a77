"""Put load on a server and print its figures as JSON.

Runs in MLServer's environment, which has the messages of the protocol: python -m bench.mlserver.load LOAD
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click
import grpc
import uvloop
from mlserver.grpc.dataplane_pb2 import ModelInferRequest
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

from bench.mlserver.figures import Answered, Figures, figures
from bench.mlserver.messages import INPUT, AnswerError, Load, raw_scores, raw_tensor, rest_request, rest_scores
from bench.mlserver.table import read_table

Send = Callable[[Any], Awaitable[list[int]]]
MOST_REQUESTS = 2_000_000


@asynccontextmanager
async def rest(load: Load) -> AsyncIterator[Send]:
    """Requests over as many connections as there are callers; they are kept open."""
    url = f"http://127.0.0.1:{load.port}/v2/models/{load.model}/infer"
    # Nothing is gained by compression where nothing travels.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    connector = aiohttp.TCPConnector(limit=load.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def send(request: bytes) -> list[int]:
            async with session.post(url, data=request) as answer:
                return rest_scores(answer.status, await answer.read())

        yield send


@asynccontextmanager
async def grpc_calls(load: Load) -> AsyncIterator[Send]:
    """Calls over one connection, which carries any number of them at a time."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{load.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        stub = GRPCInferenceServiceStub(channel)

        async def send(request: Any) -> list[int]:
            answer = await stub.ModelInfer(request)
            return raw_scores(answer.outputs[0].datatype, answer.raw_output_contents[0])

        yield send


def grpc_request(model: str, records: Any) -> Any:
    """A call for the scores of `records`, (records, features)."""
    tensor = ModelInferRequest.InferInputTensor(name=INPUT, shape=records.shape, datatype="FP64")
    return ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[raw_tensor(records)])


async def drive(
    connected: AbstractAsyncContextManager[Send], requests: Sequence[tuple[Any, list[int]]], load: Load
) -> Figures:
    """The figures of `load`, whose callers wait for an answer before they ask again."""
    answered: list[Answered] = []
    begin = time.perf_counter() + load.warm_up_s
    numbers = itertools.count()

    async def call(send: Send) -> None:
        while (sent := time.perf_counter()) < begin + load.seconds and (number := next(numbers)) < MOST_REQUESTS:
            request, expected = requests[number % len(requests)]
            scores = await send(request)
            at = time.perf_counter()
            if scores != expected:
                raise AnswerError(f"scores {scores[:10]} instead of {expected[:10]}")
            answered.append(Answered(at, at - sent))

    async def cores() -> float:
        await asyncio.sleep(load.warm_up_s)
        started = time.process_time()
        await asyncio.sleep(load.seconds)
        return (time.process_time() - started) / load.seconds

    async with connected as send, asyncio.TaskGroup() as tasks:
        used = tasks.create_task(cores())
        for _ in range(load.concurrency):
            tasks.create_task(call(send))
    measured = figures(answered, begin, load.seconds, load.records)
    return {**measured, "client_cores": round(used.result(), 2)}


@click.command()
@click.argument("load")
def main(load: str) -> None:
    """Put LOAD, a `Load` as JSON, on the server: the table's rows, again and again; each score is compared."""
    asked = Load(**json.loads(load))
    x, _ = read_table()
    expected = json.loads(Path(asked.answers).read_text())[asked.model]
    starts = range(0, len(x) - asked.records + 1, asked.records)
    parts = [slice(start, start + asked.records) for start in starts]
    # Encoded beforehand: what the client computes, the server on the same machine cannot.
    if asked.protocol == "rest":
        connected = rest(asked)
        requests = [(rest_request(x[part]), expected[part]) for part in parts]
    else:
        connected = grpc_calls(asked)
        requests = [(grpc_request(asked.model, x[part]), expected[part]) for part in parts]
    click.echo(json.dumps(uvloop.run(drive(connected, requests, asked))))


if __name__ == "__main__":
    main()
