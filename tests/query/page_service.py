"""A query service for tests of the page: it serves the page's files, and answers what a test says."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import modelserving
from tests.query.page_answers import history
from tests.waiting import wait_until

PAGE = Path(modelserving.__file__).parent / "query" / "page"
POLICY = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class PageService:
    """As a context manager it runs, on a port that the system chooses.

    Args:
        answers: by path, as `/api/stats`, or by path and query where one has an answer of its own; a test may change
            them while it runs.
    """

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.token = ""
        """If there is one, requests need it."""
        self.problem = ""
        """If there is one, the service is not ready."""
        self.asked: list[str] = []
        """Paths and queries of `/api/` that were asked for."""
        self._streams: list[queue.Queue[bytes | None]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.break_streams()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def push(self, event: str, data: object) -> None:
        """Send an event to all that listen; wait until somebody does."""
        wait_until(lambda: self._streams, describe=lambda: "nobody listens to the stream")
        for stream in self._streams:
            stream.put(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def break_streams(self) -> None:
        """End all streams."""
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.put(None)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request; called in a thread of its own."""
        path = urlsplit(request.path).path
        if path.startswith("/api/"):
            self.asked.append(request.path)
        if path == "/readyz":
            self._answer_if_ready(request, b"{}")
        elif not path.startswith("/api/"):
            file = PAGE / ("index.html" if path == "/" else path.removeprefix("/static/"))
            if file.is_file():
                _send(request, 200, TYPES[file.suffix], file.read_bytes())
            else:
                _send(request, 404, "text/plain", b"")
        elif self.token and request.headers["Authorization"] != f"Bearer {self.token}":
            _send(request, 401, "application/json", b"{}")
        elif path == "/api/stream" and not self.problem:
            self._stream(request)
        else:
            self._answer_if_ready(request, json.dumps(self._answer_to(request.path)).encode())

    def _answer_to(self, target: str) -> object:
        path = urlsplit(target).path
        _, _, question, *names = unquote(path).split("/", 3)
        if target in self.answers or path in self.answers or not names:
            return self.answers.get(target, self.answers.get(path))
        if question == "history":
            return history(names[0])
        models: Any = self.answers["/api/models"]
        return next(each for each in models["data_types"] if each["data_type"] == names[0])

    def _answer_if_ready(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if self.problem:
            _send(request, 503, "application/json", json.dumps({"error": self.problem}).encode())
        else:
            _send(request, 200, "application/json", body)

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        stream: queue.Queue[bytes | None] = queue.Queue()
        _send(request, 200, "text/event-stream", b": heartbeat\n\n")
        self._streams.append(stream)
        with suppress(ConnectionError):  # the page has gone
            while (message := stream.get()) is not None:
                request.wfile.write(message)


def _send(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    """The body ends with the connection."""
    request.send_response(status)
    request.send_header("Content-Type", f"{kind}; charset=utf-8")
    request.send_header("Content-Security-Policy", POLICY)
    request.end_headers()
    request.wfile.write(body)
