"""Receivers of webhooks: real HTTP servers on loopback, with or without TLS."""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme
from pydantic import SecretStr
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD_SECRET = "whsec_b2xkLXNlY3JldC1vZi10d2VudHktZm91ci1ieXRlcw=="
SECRET = "whsec_bmV3LXNlY3JldC1vZi10d2VudHktZm91ci1ieXRlcw=="
NETWORKS = "127.0.0.0/8"


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is true; fail after a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        self.receiver.connections += 1
        super().setup()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(self.path, headers, body))
        self.receiver.answer(self)

    def log_message(self, *_: object) -> None:
        pass


class Receiver(ThreadingHTTPServer):
    """Notes what comes, and answers as told.

    Args:
        host: Where it listens.
        tls: With what it speaks TLS, if it does.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        super().__init__((host, 0), type("Handler", (_Handler,), {"receiver": self}))
        self.scheme = "https" if tls else "http"
        self.received: list[Received] = []
        self.connections = 0
        self.stopped = threading.Event()
        self.answer: Callable[[BaseHTTPRequestHandler], object] = self.answers(204)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/hook?token=secret-of-the-url", host: str | None = None) -> str:
        return f"{self.scheme}://{host or self.server_address[0]}:{self.port}{path}"

    def answers(self, status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()

        return answer

    def hangs(self, handler: BaseHTTPRequestHandler) -> None:
        self.stopped.wait(60)
        handler.close_connection = True

    def handle_error(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()


def settings_with(**values: object) -> WorkerSettings:
    of_tests = {"webhook_secret": SecretStr(SECRET), "webhook_networks": NETWORKS, "webhook_timeout_seconds": 5.0}
    return WorkerSettings.model_validate({"api_key": SecretStr("sk-of-nobody"), **of_tests, **values})


@pytest.fixture
def make_receiver() -> Iterator[Callable[..., Receiver]]:
    receivers: list[Receiver] = []

    def make(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Receiver:
        receivers.append(Receiver(host, tls))
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What trusts the authority, and no other."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """Make what a server of a name speaks TLS with."""

    def make(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make
