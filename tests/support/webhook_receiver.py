"""A receiver of webhooks: a real HTTP server on loopback, with or without TLS."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

OLD_SECRET = "whsec_b2xkLXNlY3JldC1vZi10d2VudHktZm91ci1ieXRlcw=="
SECRET = "whsec_bmV3LXNlY3JldC1vZi10d2VudHktZm91ci1ieXRlcw=="
NETWORKS = "127.0.0.0/8"


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
