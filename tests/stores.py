"""Stores for tests: a web server with faults, and servers of buckets that speak S3's and Google's protocols."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from modelserving.local.broker import free_port

BUCKET = "models"

Answer = Callable[[BaseHTTPRequestHandler], None]


class WebServer:
    """Answers GET with what `answers` has for the path, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.ended = threading.Event()
        """Set at the end of the test; an answer that hangs waits for it."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer = server.answers.get(self.path)
                try:
                    if answer is None:
                        self.send_error(404)
                    else:
                        answer(self)
                except ConnectionError:
                    self.close_connection = True  # the reader had enough

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def put(self, path: str, data: bytes) -> None:
        """Serve these bytes at this path."""
        self.answers[path] = lambda request: answer(request, data)

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def answer(request: BaseHTTPRequestHandler, data: bytes, status: int = 200, **headers: str) -> None:
    """Answer a request; in the names of headers _ stands for -."""
    request.send_response(status)
    request.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(data)


@contextmanager
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def s3_server(environment: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of S3's protocol; clients find it through the environment."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        # It keeps its buckets for the life of the process.
        urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            environment.setenv(name, value)
        yield
    finally:
        server.stop()


@contextmanager
def gs_server(environment: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of Google Cloud Storage's protocol; clients find it through the environment."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    try:
        environment.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        # A client that leaves in the middle of an answer is no error worth a page.
        environment.setattr(HTTPServer, "handle_error", lambda *_: None)
        environment.setenv("NO_GCE_CHECK", "true")  # nobody asks the cloud's metadata service for credentials
        yield
    finally:
        server.stop()
