"""A server on loopback that answers each request as a test wants, well or badly."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from wanimate.contract import AnimateJob
from wanimate_worker.vendor import Timeouts, VendorClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

KEY = "sk-very-secret-0123456789"
#: The first byte of whatever a TLS client says (RFC 8446, section 5.1).
TLS_HANDSHAKE = b"\x16"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def _drop(_server: Server, _conn: socket.socket, _request: Request) -> bool:
    return False


@dataclass
class Server:
    """One thread a connection; `behave` gets the connection and the request, and may send, drop or hold."""

    behave: Callable[[Server, socket.socket, Request], bool] = _drop
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._start(self._accept)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def answers(self, body: bytes | str, status: int = 200, *headers: str, then_close: bool = False) -> None:
        raw = body.encode() if isinstance(body, str) else body
        head = "\r\n".join([f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(raw)}", *headers, "", ""])
        self.sends(head.encode() + raw, then_close=then_close)

    def sends(self, raw: bytes, *, then_close: bool = False) -> None:
        def behave(_: Server, conn: socket.socket, __: Request) -> bool:
            conn.sendall(raw)
            return not then_close

        self.behave = behave

    def drops(self) -> None:
        self.behave = _drop

    def resets(self) -> None:
        def behave(_: Server, conn: socket.socket, __: Request) -> bool:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False

        self.behave = behave

    def keeps_silent(self) -> None:
        def behave(server: Server, _: socket.socket, __: Request) -> bool:
            server.stopped.wait(30)
            return False

        self.behave = behave

    def drips(self, head: bytes) -> None:
        def behave(server: Server, conn: socket.socket, _: Request) -> bool:
            conn.sendall(head)
            while not server.stopped.wait(0.02):
                conn.sendall(b" ")
            return False

        self.behave = behave

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for conn in tuple(self._open):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads):
            thread.join(10)
        self._listener.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.stopped.is_set():
                conn, _ = self._listener.accept()
                self.connections += 1
                self._open.add(conn)
                self._start(partial(self._serve, conn))

    def _serve(self, conn: socket.socket) -> None:
        with contextlib.suppress(OSError), conn, conn.makefile("rb") as reader:
            while (request := _read_request(reader)) is not None:
                self.requests.append(request)
                if not self.behave(self, conn, request):
                    break
        self._open.discard(conn)
        self.closed.release()


def _read_request(reader: BufferedReader) -> Request | None:
    if reader.peek(1).startswith(TLS_HANDSHAKE):
        return None
    line = reader.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while (header := reader.readline().decode("latin-1").strip()) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line[0], line[1], headers, reader.read(int(headers.get("content-length", 0))))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., VendorClient]]:
    """Make clients that give up fast and are closed at the end."""
    clients: list[VendorClient] = []

    def connect(base_url: str | None = None, *, trust_env: bool = False, seconds: float = 5.0) -> VendorClient:
        bounds = Timeouts(connect_seconds=seconds, submit_read_seconds=seconds, status_read_seconds=seconds)
        url = base_url or f"http://{server.address}"
        clients.append(VendorClient(url, SecretStr(KEY), timeouts=bounds, trust_env=trust_env, allow_http=True))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., VendorClient]) -> VendorClient:
    return connect()


@pytest.fixture
def job() -> AnimateJob:
    return AnimateJob(image_url="https://example.com/c.png", video_url="https://example.com/m.mp4")


@pytest.fixture
def key() -> str:
    return KEY
