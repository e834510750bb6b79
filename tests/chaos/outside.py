"""What lies outside the product: receivers of webhooks and a store of videos, which fail when they are told to."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from wanimate import WanimateError
from wanimate.contract import Event

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

#: How long a server hangs that is told to: longer than senders of webhooks wait for an answer.
HANG_SECONDS = 3.0
_SLOW_SECONDS = 1.0
#: A little of everything goes wrong all the time: the share of requests, of each kind.
_BACKGROUND_RATE = 0.01


class Outside:
    """One server on loopback, at the same address for the whole run.

    Args:
        kinds: What may go wrong with it; a kind is also the name of what a handler does.
        chance: The run's random numbers.
    """

    def __init__(self, handler: type[_Handler], kinds: tuple[str, ...], chance: random.Random) -> None:
        self._kinds = kinds
        self._chance = chance
        self._told: list[str] = []
        self.has_background = True

        class Bound(handler):  # type: ignore[valid-type, misc]
            server_of = self

        self._server = _Server(("127.0.0.1", 0), Bound)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def failing(self, kind: str) -> Iterator[None]:
        """Fail in this way."""
        self._told.append(kind)
        try:
            yield
        finally:
            self._told.remove(kind)

    def draw(self) -> str:
        """Return what goes wrong with this request; nothing if empty."""
        with suppress(IndexError):
            return self._told[-1]
        share = self._chance.random()
        if self.has_background and share < _BACKGROUND_RATE * len(self._kinds):
            return self._kinds[int(share / _BACKGROUND_RATE)]
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients die in the middle here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Outside

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def read(self, share: float = 1.0) -> bytes:
        body: bytes = self.rfile.read(int(int(self.headers["content-length"]) * share))
        return body

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# -- webhooks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """One webhook that came.

    Args:
        event_id: Names the event.
        path: Where it came to.
        event: What it tells; None if its signature or its content is wrong.
        is_acknowledged: Whether it was answered, so far as the receiver knows.
    """

    event_id: str
    path: str
    event: Event | None
    is_acknowledged: bool


class _WebhookHandler(_Handler):
    server_of: WebhookReceiver

    def do_POST(self) -> None:
        fault = self.server_of.draw()
        if fault in {"gone", "cut"}:
            self.hang_up()
            return
        self.server_of.note(self.path, self.read(), dict(self.headers.items()), is_acknowledged=not fault)
        match fault:
            case "500":
                self.answer(500)
            case "hang":
                time.sleep(HANG_SECONDS)
                self.hang_up()
            case "answer lost":
                self.hang_up()
            case _:
                self.answer(204)


class WebhookReceiver(Outside):
    """Notes webhooks in the order in which they come.

    Args:
        chance: The run's random numbers.
        secret: What they are signed with.
    """

    def __init__(self, chance: random.Random, secret: str) -> None:
        self.receipts: list[Receipt] = []
        self._secret = secret
        super().__init__(_WebhookHandler, ("500", "cut", "answer lost", "hang"), chance)

    def note(self, path: str, body: bytes, headers: dict[str, str], *, is_acknowledged: bool) -> None:
        """Check a webhook, and note it."""
        try:
            event = Event.from_webhook(body, headers, self._secret)
        except WanimateError:
            event = None
        self.receipts.append(Receipt(headers.get("webhook-id", ""), path, event, is_acknowledged))


# -- the store --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of the store.

    Args:
        size_bytes: Its size.
        sha256: Its digest.
    """

    size_bytes: int
    sha256: str


class _StoreHandler(_Handler):
    server_of: VideoStore

    def do_PUT(self) -> None:
        fault = self.server_of.draw()
        if fault == "cut":
            self.read(0.5)
            self.hang_up()
            return
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        body = self.read()
        match fault:
            case "down":
                self.answer(503)
            case "full":
                self.answer(507)
            case _:
                self.server_of.put(self.path, body)
                if fault == "answer lost":
                    self.hang_up()
                else:
                    self.answer(200, ETag='"1"')


class VideoStore(Outside):
    """Stands in for S3: takes objects that fit into one request, and keeps what they were."""

    bucket = "videos"

    def __init__(self, chance: random.Random) -> None:
        self._objects: dict[str, Stored] = {}
        self.writes = 0
        super().__init__(_StoreHandler, ("down", "cut", "slow", "answer lost"), chance)

    @property
    def keep_url(self) -> str:
        """The store as `WANIMATE_KEEP_URL` names it."""
        return f"s3://{self.bucket}/kept"

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to write to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "chaos",
            "AWS_SECRET_ACCESS_KEY": "chaos-of-the-store",
            "AWS_REGION": "us-east-1",
        }

    def put(self, path: str, body: bytes) -> None:
        """Keep an object."""
        self.writes += 1
        self._objects[path] = Stored(len(body), hashlib.sha256(body).hexdigest())

    def get(self, url: str) -> Stored | None:
        """Return what is at a URL of the store."""
        return self._objects.get(f"/{url.removeprefix('s3://')}")
