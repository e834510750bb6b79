"""A server of videos with faults, and videos for it."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


def box(kind: bytes, body: bytes) -> bytes:
    """Return a box of an MP4 file."""
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def mp4(size: int = 20_000, brand: bytes = b"isom", seed: int = 1) -> bytes:
    """Return a file of so many bytes that is built as MP4 files are."""
    head = box(b"ftyp", brand + b"\0\0\2\0isomiso2avc1mp41") + box(b"moov", random.Random(seed).randbytes(600))
    return head + box(b"mdat", random.Random(seed).randbytes(size - len(head) - 8))


@dataclass
class Served:
    """How one path is served.

    Args:
        body: What is served.
        status: The status of the answer.
        type: Its content type.
        cuts: After how many bytes of an answer the connection is closed; one for each answer, then none is.
        has_length: Whether the answer says how long it is; if not, its end is the end of the connection.
        can_resume: Whether ranges are served.
        etag: The entity tag; empty for none.
        pause_seconds: The pause between pieces of 16 KiB.
        location: Where it redirects to.
        holds: Bytes after which the answer waits until it may go on.
    """

    body: bytes
    status: int = 200
    type: str = "video/mp4"
    cuts: list[int] = field(default_factory=list)
    has_length: bool = True
    can_resume: bool = True
    etag: str = '"v1"'
    pause_seconds: float = 0.0
    location: str = ""
    holds: int | None = None
    goes_on: threading.Event = field(default_factory=threading.Event)
    #: The headers of each request.
    requests: list[dict[str, str]] = field(default_factory=list)


class VideoServer:
    """Serves what it is given, by path."""

    def __init__(self) -> None:
        self.served: dict[str, Served] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def serve(self, path: str, body: bytes, **how: Any) -> str:
        """Serve a body at a path, and return its URL."""
        self.served[path] = Served(body, **how)
        return self.url(path)

    def url(self, path: str) -> str:
        """Return the URL of a path, with a query that must stay secret."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}?signature=top-secret"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for served in self.served.values():
            served.goes_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(videos: VideoServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served = videos.served.get(self.path.partition("?")[0], Served(b"gone", status=404, type="text/plain"))
            served.requests.append({name.lower(): value for name, value in self.headers.items()})
            self.close_connection = True
            body, begun = served.body, 0
            wanted = self.headers.get("Range", "")
            if served.location:
                self.send_response(302)
                self.send_header("Location", served.location)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()
                return
            if wanted and served.can_resume and self.headers.get("If-Range") in {served.etag, None}:
                begun = int(wanted.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begun}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(served.status)
            self.send_header("Content-Type", served.type)
            self.send_header("Connection", "close")
            if served.etag:
                self.send_header("ETag", served.etag)
            if served.has_length:
                self.send_header("Content-Length", str(len(body) - begun))
            self.end_headers()
            end = begun + served.cuts.pop(0) if served.cuts else len(body)
            try:
                for piece in _pieces(body[begun:end], served):
                    self.wfile.write(piece)
            except OSError:
                return  # the client has gone

        def log_message(self, *_: object) -> None:
            return

    return Handler


def _pieces(body: bytes, served: Served) -> Iterator[bytes]:
    step = 16_384 if served.pause_seconds else 1 << 20
    if served.holds is not None:
        yield body[: served.holds]
        served.goes_on.wait(60)
        body = body[served.holds :]
    for at in range(0, len(body), step):
        yield body[at : at + step]
        if served.pause_seconds:
            time.sleep(served.pause_seconds)
