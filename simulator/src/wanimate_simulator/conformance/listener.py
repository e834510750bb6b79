"""Receives callbacks on this machine."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import orjson

#: Bytes of a callback that are read.
_MAX_BODY_BYTES = 65_536


class Listener:
    """Answers the first callback 204, to see whether it counts, and later ones 200.

    Args:
        port: where to listen on 127.0.0.1; 0 for a free port.

    Raises:
        OSError: the port cannot be listened on.
    """

    def __init__(self, port: int) -> None:
        self.bodies: list[Any] = []
        self._arrived_at: list[float] = []
        self._arrival = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                body = self.rfile.read(min(int(length), _MAX_BODY_BYTES)) if length.isdecimal() else b""
                self.send_response(200 if listener.take(body) > 1 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> int:
        """Keep a callback and return how many there are now."""
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            decoded = None
        with self._arrival:
            self.bodies.append(decoded)
            self._arrived_at.append(time.monotonic())
            self._arrival.notify_all()
            return len(self.bodies)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait for so many callbacks, and tell whether they came."""
        with self._arrival:
            return self._arrival.wait_for(lambda: len(self.bodies) >= count, seconds)

    def gap_seconds(self) -> float:
        """Return the seconds between the first two callbacks."""
        return self._arrived_at[1] - self._arrived_at[0]
