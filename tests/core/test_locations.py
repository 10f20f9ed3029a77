"""What may be read by location, and what is read: files, folders and web servers. Buckets: `test_buckets.py`."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import pickle
import posixpath
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelserving import archive, locations, remote
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.locations import MAX_MODEL_BYTES, ModelSources, model_sources, parse, read
from modelserving.wire.serving_pb2 import Reason
from tests.stores import WebServer, answer, web_server

MODEL = b"the bytes of a model"
DIGEST = hashlib.sha256(MODEL).hexdigest()


def rejected(location: str, sources: ModelSources) -> ModelRejected:
    with pytest.raises(ModelRejected) as caught:
        read(location, sources)
    assert len(caught.value.detail) < 1000
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model root with a model file and a model folder; beside it what is none of the job's business."""
    folder = tmp_path / "models"
    (folder / "saved" / "variables").mkdir(parents=True)
    (folder / "saved" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved" / "variables" / "variables.index").write_bytes(b"index")
    (folder / "a b.pmml").write_bytes(MODEL)
    (folder / "50%25.pmml").write_bytes(MODEL)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "models-secret").mkdir()
    (tmp_path / "models-secret" / "m").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    return folder


# Roots


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/", "s3://bucket/"),
        ("gs://bucket/a%20b/c/", "gs://bucket/a%20b/c"),
        ("http://Store.example/models", "http://store.example:80/models"),
        ("https://store.example", "https://store.example:443/"),
        ("http://[::1]:8080/m", "http://[::1]:8080/m"),
        ("http://169.254.1.1/m", "http://169.254.1.1:80/m"),
    ],
)
def test_roots(text: str, url: str) -> None:
    [root] = model_sources([text]).roots
    assert root.url == url
    assert parse(root.url) == root


def test_a_folder_is_a_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    (root.parent / "current").symlink_to(root)
    for text in (str(root), root.as_uri(), "models", "./models", "current"):
        [found] = model_sources([text]).roots
        assert found.path == root


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{root}/absent", id="folder that does not exist"),
        pytest.param("file://{root}/absent", id="URL of a folder that does not exist"),
        pytest.param("{root}/a b.pmml", id="file"),
        pytest.param("s3://", id="no bucket"),
        pytest.param("s3:///models", id="empty bucket"),
        pytest.param("gs://user@bucket/models", id="bucket with a user"),
        pytest.param("s3://bucket/../other", id="bucket with a step up"),
        pytest.param("http://", id="no host"),
        pytest.param("http://user:password@host/", id="user and password"),
        pytest.param("http://host:port/", id="port that is no number"),
        pytest.param("http://host/?list", id="query"),
        pytest.param("ftp://host/models", id="unknown scheme"),
        pytest.param("hdfs://host/models", id="another unknown scheme"),
        pytest.param("local:{root}", id="local:"),
        pytest.param("simplecache::s3://bucket", id="chained"),
        pytest.param("memory://", id="memory"),
    ],
)
def test_no_roots(root: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no root of models: .*; give a folder that exists, s3://BUCKET"):
        model_sources(["s3://bucket", text.replace("{root}", str(root))])


def test_sources_travel_as_pickles(root: Path) -> None:
    sources = model_sources([str(root), "s3://bucket/models", "https://store.example/"])
    assert pickle.loads(pickle.dumps(sources)) == sources  # noqa: S301
    assert hash(sources)


# Files


@pytest.mark.parametrize(
    "location",
    ["{root}/a b.pmml", "file://{root}/a%20b.pmml", "file://localhost{root}/50%2525.pmml", "{root}//a b.pmml"],
)
def test_file(root: Path, location: str) -> None:
    assert read(location.replace("{root}", str(root)), model_sources(["s3://bucket", str(root)])) == (MODEL, DIGEST)


def test_folder(root: Path, tmp_path: Path) -> None:
    data, digest = read(f"{root}/saved", model_sources([str(root)]))
    assert (data, digest) == archive.read_folder(root / "saved")
    (tmp_path / "unpacked").mkdir()
    archive.unpack(data, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "variables" / "variables.index").read_bytes() == b"index"


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("file:///etc/passwd", id="file:///etc/passwd"),
        pytest.param("/etc/passwd", id="/etc/passwd"),
        pytest.param("{root}/../secret", id="bare path outside the root"),
        pytest.param("file://{root}/../secret", id="URL outside the root"),
        pytest.param("file://{root}/%2e%2e/secret", id="escaped dots"),
        pytest.param("file://{root}/..%2fsecret", id="escaped slash"),
        pytest.param("{root}/%2e%2e/secret", id="escape in a bare path"),
        pytest.param("{root}-secret/m", id="folder that begins like the root"),
        pytest.param("{root}/link", id="link to a file outside"),
        pytest.param("{root}/linked/secret", id="path through a link outside"),
        pytest.param("{root}/loop", id="link to itself"),
        pytest.param("{root}/pipe", id="pipe"),
        pytest.param("/dev/zero", id="device"),
        pytest.param("{root}/absent", id="no such file"),
        pytest.param("saved", id="relative path"),
        pytest.param("file:saved", id="relative URL"),
        pytest.param("file:{root}/saved", id="URL without slashes"),
        pytest.param("file://elsewhere{root}/saved", id="file of another host"),
        pytest.param("file://{root}/saved?x", id="query"),
        pytest.param("file://{root}/saved#x", id="fragment"),
        pytest.param("local:{root}/saved", id="local:"),
        pytest.param("local://{root}/saved", id="local://"),
        pytest.param("simplecache::file://{root}/saved", id="simplecache::file://"),
        pytest.param("filecache::{root}/saved", id="filecache:: and a bare path"),
        pytest.param("zip://saved_model.pb::{root}/saved", id="zip in a chain"),
        pytest.param("file://{root}/saved::s3://bucket", id="chain that begins well"),
        pytest.param("memory://model", id="memory:"),
        pytest.param("data:,model", id="data:"),
        pytest.param("ftp://127.0.0.1/model", id="ftp:"),
        pytest.param("reference://model", id="reference:"),
        pytest.param("file://[", id="broken URL"),
        pytest.param("{root}/saved\0", id="NUL"),
        pytest.param("{root}/saved\n", id="newline"),
        pytest.param("{root}/saved\x1b[2J", id="terminal's control sequence"),
        pytest.param("{root}/\u202esaved", id="text turned round"),
        pytest.param("file://{root}/saved%00", id="escaped NUL"),
        pytest.param("file://{root}/%ff", id="escape that is no text"),
        pytest.param("/" + "x" * 100_000, id="100 kB long"),
        pytest.param("{root}/" + "x" * 1000, id="longer than a file's name can be"),
        pytest.param("", id="empty"),
    ],
)
def test_locations_refused(root: Path, location: str) -> None:
    assert rejected(location.replace("{root}", str(root)), model_sources([str(root)])).reason == Reason.LOCATION


def test_nothing_is_allowed_without_a_root(root: Path) -> None:
    fault = rejected(str(root / "a b.pmml"), ModelSources())
    assert fault.reason == Reason.LOCATION
    assert "--model-root" in fault.detail


def test_link_that_stays_below_the_root(root: Path) -> None:
    (root / "newest").symlink_to(root / "a b.pmml")
    assert read(str(root / "newest"), model_sources([str(root)])) == (MODEL, DIGEST)


def test_link_out_of_a_folder(root: Path) -> None:
    (root / "saved" / "assets").symlink_to(root.parent)
    assert rejected(str(root / "saved"), model_sources([str(root)])).reason == Reason.UNSAFE


def test_file_of_1_gb(root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.truncate(1024**3)
    fault = rejected(str(root / "sparse"), model_sources([str(root)]))
    assert fault.reason == Reason.OVERSIZE
    assert str(1024**3) in fault.detail


def test_folder_above_the_limit(root: Path) -> None:
    for name in ("1", "2"):
        with (root / "saved" / name).open("wb") as file:
            file.truncate(MAX_MODEL_BYTES // 2 + 1)
    assert rejected(str(root / "saved"), model_sources([str(root)])).reason == Reason.OVERSIZE


def test_folder_that_changes_while_it_is_read(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed is what was read, whatever becomes of the files."""
    really_read = archive.read_file

    def read_and_change(path: Path, limit: int) -> bytes:
        data = really_read(path, limit)
        path.write_bytes(data + b" and more")
        return data

    monkeypatch.setattr(archive, "read_file", read_and_change)
    data, digest = read(str(root / "saved"), model_sources([str(root)]))
    monkeypatch.undo()
    (tmp_path / "unpacked").mkdir()
    archive.unpack(data, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "saved_model.pb").read_bytes() == b"graph"
    assert archive.read_folder(tmp_path / "unpacked")[1] == digest


PIECES = st.sampled_from(
    [
        *("/", "//", ".", "..", "../", "%2e%2e", "%2f", "%5c", "\\", ":", "::", "@", "?", "#", "%", "%00", "\0", "\n"),
        *("file://", "file:", "local:", "simplecache::", "s3://", "http://", "localhost", "127.0.0.1"),
        *("models", "secret", "link", "linked", "models-secret", "m", "saved", "a%20b.pmml"),
    ]
)


@given(pieces=st.lists(PIECES, max_size=8), start=st.sampled_from(["{root}", "file://{root}", "{root}/", ""]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_reads_a_secret(root: Path, pieces: list[str], start: str) -> None:
    try:
        data, _ = read(start.replace("{root}", str(root)) + "".join(pieces), model_sources([str(root)]))
    except ModelRejected as fault:
        assert fault.reason in (Reason.LOCATION, Reason.UNSAFE)  # noqa: PT017
    else:
        assert b"secret" not in data


@given(pieces=st.lists(PIECES, max_size=8))
@settings(max_examples=300)
def test_no_url_leaves_its_root(pieces: list[str]) -> None:
    [root] = model_sources(["http://store.example/models"]).roots
    try:
        place = parse("http://store.example/models/" + "".join(pieces))
    except ValueError:
        return
    asked = urlsplit(place.url)
    walked = posixpath.normpath(unquote(unquote(asked.path)).replace("\\", "/"))
    assert asked.netloc == "store.example:80"
    assert root.contains(place)
    assert walked == "/models" or walked.startswith("/models/")


# Web servers


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setattr(remote, "WAITS_S", (0.01, 0.01))
    with web_server() as server:
        yield server


@pytest.fixture
def sources(web: WebServer) -> ModelSources:
    return model_sources([f"{web.url}/models"])


def test_model_of_a_web_server(web: WebServer, sources: ModelSources) -> None:
    web.put("/models/wine/a%20b%2B.pmml", MODEL)
    assert read(f"{web.url}/models/wine/a b%2b.pmml", sources) == (MODEL, DIGEST)


def test_a_model_is_asked_for_once(web: WebServer, sources: ModelSources) -> None:
    """One that changes between two reads cannot deceive who reads once and hashes what was read."""
    web.answers["/models/m"] = lambda request: answer(request, f"read {len(web.asked)}".encode())
    data, digest = read(f"{web.url}/models/m", sources)
    assert (data, digest) == (b"read 1", hashlib.sha256(b"read 1").hexdigest())
    assert web.asked == ["/models/m"]


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("{url}/secret", id="outside the root"),
        pytest.param("{url}/models-secret/m", id="folder that begins like the root"),
        pytest.param("{url}/models/../secret", id="step up"),
        pytest.param("{url}/models/%2e%2e/secret", id="escaped step up"),
        pytest.param("{url}/models/%252e%252e/secret", id="step up escaped twice"),
        pytest.param("{url}/models/..%5csecret", id="backslash"),
        pytest.param("{url}/models//m", id="nothing between two slashes"),
        pytest.param("{url}/models/m?as=admin", id="query"),
        pytest.param("{url}/models/m#part", id="fragment"),
        pytest.param("https{rest}/models/m", id="another scheme than the root's"),
        pytest.param("http://user:password@{host}/models/m", id="user and password"),
        pytest.param("http://{host}@elsewhere.example/models/m", id="root's host as a user"),
        pytest.param("http://127.0.0.1:1/models/m", id="another port"),
        pytest.param("http://169.254.169.254/models/m", id="link-local address"),
        pytest.param("http://10.0.0.1/models/m", id="private address"),
        pytest.param("http://[::1]/models/m", id="this machine's address"),
        pytest.param("http://127.1:1/models/m", id="odd form of an address"),
        pytest.param("{url}/models/m\r\nX-Header: 1", id="newline"),
        pytest.param("blockcache::{url}/models/m", id="chained"),
    ],
)
def test_urls_refused(web: WebServer, sources: ModelSources, location: str) -> None:
    host = web.url.removeprefix("http://")
    text = location.format(url=web.url, host=host, rest=f"://{host}")
    assert rejected(text, sources).reason == Reason.LOCATION
    assert web.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/models/m", "/secret", "http://169.254.169.254/latest", "file:///etc/passwd"])
def test_redirects_are_refused(web: WebServer, sources: ModelSources, status: int, target: str) -> None:
    web.put("/models/m", MODEL)
    web.answers["/models/moved"] = lambda request: answer(request, MODEL, status, Location=target)
    fault = rejected(f"{web.url}/models/moved", sources)
    assert fault.reason == Reason.LOCATION
    assert "redirects are not followed" in fault.detail
    assert web.asked == ["/models/moved"]


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 410, 501])
def test_other_answers_are_no_model(web: WebServer, sources: ModelSources, status: int) -> None:
    web.answers["/models/m"] = lambda request: answer(request, b"" if status == 204 else MODEL, status)
    fault = rejected(f"{web.url}/models/m", sources)
    assert fault.reason == Reason.LOCATION
    assert str(status) in fault.detail
    assert web.asked == ["/models/m"]


@pytest.mark.parametrize("failures", [1, 2])
def test_503_and_then_success(web: WebServer, sources: ModelSources, failures: int) -> None:
    web.answers["/models/m"] = lambda request: answer(request, MODEL, 503 if len(web.asked) <= failures else 200)
    assert read(f"{web.url}/models/m", sources) == (MODEL, DIGEST)
    assert len(web.asked) == failures + 1


def test_503_for_ever(web: WebServer, sources: ModelSources) -> None:
    web.answers["/models/m"] = lambda request: answer(request, b"", 503)
    fault = rejected(f"{web.url}/models/m", sources)
    assert fault.reason == Reason.LOCATION
    assert "503" in fault.detail
    assert len(web.asked) == 3


def test_an_answer_cut_short_is_asked_for_again(web: WebServer, sources: ModelSources) -> None:
    def cut_short(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(MODEL)))
        request.end_headers()
        request.wfile.write(MODEL if len(web.asked) > 1 else MODEL[:5])

    web.answers["/models/m"] = cut_short
    assert read(f"{web.url}/models/m", sources) == (MODEL, DIGEST)
    assert len(web.asked) == 2


def test_a_web_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAITS_S", (0.01, 0.01))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/m"
        assert rejected(url, model_sources([url])).reason == Reason.LOCATION


@pytest.mark.parametrize("after", [b"", MODEL[:5]], ids=["no answer", "in the middle of it"])
def test_time_out(web: WebServer, sources: ModelSources, monkeypatch: pytest.MonkeyPatch, after: bytes) -> None:
    def hang(request: BaseHTTPRequestHandler) -> None:
        if after:
            request.send_response(200)
            request.send_header("Content-Length", str(len(MODEL)))
            request.end_headers()
            request.wfile.write(after)
        web.ended.wait()

    monkeypatch.setattr(remote, "READ_LIMIT_S", 0.2)
    web.answers["/models/m"] = hang
    fault = rejected(f"{web.url}/models/m", sources)
    assert fault.reason == Reason.LOCATION
    assert "imeout" in fault.detail
    assert web.asked == ["/models/m"]  # one that hangs is given no second chance to


def test_time_out_of_an_answer_that_trickles(
    web: WebServer, sources: ModelSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not web.ended.wait(0.02):
            request.wfile.write(b"x")

    monkeypatch.setattr(remote, "ANSWER_LIMIT_S", 0.5)
    web.answers["/models/m"] = trickle
    fault = rejected(f"{web.url}/models/m", sources)
    assert fault.reason == Reason.LOCATION
    assert "imeout" in fault.detail


def test_location_that_announces_1_gb(web: WebServer, sources: ModelSources) -> None:
    def announce(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**9))
        request.end_headers()
        web.ended.wait()  # who wants to read it will wait

    web.answers["/models/m"] = announce
    fault = rejected(f"{web.url}/models/m", sources)
    assert fault.reason == Reason.OVERSIZE
    assert str(10**9) in fault.detail


def test_location_that_never_ends(web: WebServer, sources: ModelSources) -> None:
    def never_end(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not web.ended.is_set():
            request.wfile.write(bytes(65536))

    web.answers["/models/m"] = never_end
    assert rejected(f"{web.url}/models/m", sources).reason == Reason.OVERSIZE


def test_answer_that_unpacks_to_more_than_the_limit(
    web: WebServer, sources: ModelSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed answers are not asked for; one that comes all the same is cut where the limit is."""
    monkeypatch.setattr(locations, "MAX_MODEL_BYTES", 1024**2)
    packed = gzip.compress(bytes(1024**2 + 1))
    web.answers["/models/m"] = lambda request: answer(request, packed, Content_Encoding="gzip")
    assert rejected(f"{web.url}/models/m", sources).reason == Reason.OVERSIZE


def resolve_to(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Every host name stands for this address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def getaddrinfo(_host: object, port: int, *_: object, **__: object) -> list[object]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)[: 4 if ":" in address else 2])]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "127.0.0.1", "::1", "::", "224.0.0.1"]
)
def test_host_name_that_stands_for_such_an_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve_to(monkeypatch, address)
    fault = rejected("http://store.example/m", model_sources(["http://store.example/"]))
    assert fault.reason == Reason.LOCATION
    assert "name the address in the model root" in fault.detail


@pytest.mark.parametrize(
    ("host", "address"), [("store.example", "10.1.2.3"), ("store.example", "93.184.216.34"), ("localhost", "127.0.0.1")]
)
def test_host_name_that_stands_for_another(monkeypatch: pytest.MonkeyPatch, host: str, address: str) -> None:
    resolve_to(monkeypatch, address)

    async def resolve() -> list[str]:
        return [each["host"] for each in await remote._Resolver().resolve(host, 80)]

    assert asyncio.run(resolve()) == [address]


# Reading a plain file, whatever it has become


def test_read_file_follows_no_link(root: Path) -> None:
    with pytest.raises(OSError, match="symbolic"):
        archive.read_file(root / "link", 100)


def test_read_file_does_not_wait_for_a_pipe(root: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        archive.read_file(root / "pipe", 100)
    assert caught.value.reason == Reason.UNSAFE


@pytest.mark.parametrize("limit", [len(MODEL), len(MODEL) - 1])
def test_read_file_has_a_limit(root: Path, limit: int) -> None:
    if limit == len(MODEL):
        assert archive.read_file(root / "a b.pmml", limit) == MODEL
        return
    with pytest.raises(ModelRejected) as caught:
        archive.read_file(root / "a b.pmml", limit)
    assert caught.value.reason == Reason.OVERSIZE


def test_read_file_that_tells_no_size() -> None:
    """Files of the kernel say that they are empty."""
    with pytest.raises(ModelRejected) as caught:
        archive.read_file(Path("/proc/self/smaps"), 100)
    assert caught.value.reason == Reason.OVERSIZE
