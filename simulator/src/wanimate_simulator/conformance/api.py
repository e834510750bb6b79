"""Sends requests to the checked API within its rate limit, and returns the unchanged responses."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson

from ..urls import is_loopback

SUBMIT_PATH = "/api/v1/generateTask/wan-2-2-animate"
STATUS_PATH = "/api/v1/statusTask/wan-2-2-animate"
BALANCE_PATH = "/api/v1/apikeys/current-balance"

_OK = 200
_TOO_MANY = 429
#: A request answered 429 was refused: the pause before a retry, and the maximum number of attempts.
_WAIT_AFTER_429_SECONDS, _TRIES = 10.0, 7
_WINDOW_SECONDS = 60.0
_TIMEOUT_SECONDS = 60.0
#: Characters of an answer that are shown.
_SHOWN = 60


class UnsafeAddressError(ValueError):
    """The address is not a URL, or the key would be sent unencrypted."""


class Observed(NamedTuple):
    """One answer.

    Args:
        status: the HTTP status; None if there was no answer.
        body: the decoded JSON; None if it is none.
        shown: the answer in one line, for people; without the key.
    """

    status: int | None
    body: Any
    shown: str

    @property
    def data(self) -> Any:
        """The `data` of the envelope."""
        return self.body.get("data") if isinstance(self.body, dict) else None

    @property
    def is_enveloped(self) -> bool:
        """Whether it has the documented envelope, with the HTTP status as its code."""
        body = self.body
        return (
            isinstance(body, dict)
            and {"code", "message", "data"} <= set(body)
            and type(body["code"]) is int
            and body["code"] == self.status
            and isinstance(body["message"], str)
        )

    @property
    def is_success(self) -> bool:
        """Whether it is a documented success."""
        return self.status == _OK and self.is_enveloped


class Api:
    """Sends requests to an API within a rate limit.

    Args:
        base_url: scheme, host and port of the API.
        api_key: the key; it is shown nowhere.
        requests_per_minute: requests in any minute.
        transport: how requests are sent, unless over the network.
        sleep: waits for so many seconds.

    Raises:
        UnsafeAddressError: `base_url` is no http or https URL, or is http to another machine.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        requests_per_minute: int,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        _check_address(base_url)
        self._api_key = api_key
        self._requests_per_minute = requests_per_minute
        self._sleep = sleep
        self._sent_at: deque[float] = deque()
        # Without the environment: a proxy or a .netrc must not see or replace the key.
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"), timeout=_TIMEOUT_SECONDS, trust_env=False, transport=transport
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, content: bytes | dict[str, Any], *, path: str = SUBMIT_PATH, key: str | None = "") -> Observed:
        """Send a submission.

        Args:
            content: the body.
            path: the path, if another.
            key: the key, if another; None for none.
        """
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        return self._ask("POST", path, key, content=body, headers={"content-type": "application/json"})

    def status(self, task_id: str | None, *, key: str | None = "") -> Observed:
        """Ask for the status of a task; without an id for None."""
        return self._ask("GET", STATUS_PATH, key, params={} if task_id is None else {"taskId": task_id})

    def balance(self, *, key: str | None = "") -> Observed:
        """Ask for the balance."""
        return self._ask("GET", BALANCE_PATH, key)

    def fetch(self, url: str) -> tuple[int | None, str]:
        """Begin to download a result, without the key, and return its status and content type."""
        try:
            with httpx.stream("GET", url, timeout=_TIMEOUT_SECONDS, trust_env=False, follow_redirects=True) as answer:
                return answer.status_code, one_line(answer.headers.get("content-type", ""))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return None, type(error).__name__

    def wait(self, seconds: float) -> None:
        """Wait."""
        self._sleep(seconds)

    def shown(self, text: object) -> str:
        """Return text from outside in one short line, without the key."""
        return one_line(str(text).replace(self._api_key, "[key]"))

    def _ask(self, method: str, path: str, key: str | None, **request: Any) -> Observed:
        headers = request.pop("headers", {})
        if key is not None:
            headers["authorization"] = f"Bearer {key or self._api_key}"
        for _ in range(_TRIES):
            observed = self._ask_once(method, path, headers, request)
            if observed.status != _TOO_MANY:
                break
            self._sleep(_WAIT_AFTER_429_SECONDS)
        return observed

    def _ask_once(self, method: str, path: str, headers: dict[str, str], request: dict[str, Any]) -> Observed:
        self._pace()
        try:
            answer = self._http.request(method, path, headers=headers, **request)
        except (httpx.HTTPError, UnicodeError) as error:
            return Observed(None, None, f"no answer: {type(error).__name__}")
        try:
            body = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            kind = self.shown(answer.headers.get("content-type", "nothing"))
            return Observed(answer.status_code, None, f"{answer.status_code}, no JSON but {kind}")
        shown = f"{answer.status_code}"
        if isinstance(body, dict) and "message" in body:
            shown += f": {self.shown(body['message'])}"
        return Observed(answer.status_code, body, shown)

    def _pace(self) -> None:
        if len(self._sent_at) >= self._requests_per_minute:
            self._sleep(max(0.0, self._sent_at.popleft() + _WINDOW_SECONDS - time.monotonic()))
        self._sent_at.append(time.monotonic())


def one_line(text: str) -> str:
    """Return text in one short line of visible characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _check_address(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise UnsafeAddressError("expected an http or https URL, such as https://api.example.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UnsafeAddressError("the key would be sent unencrypted: use https, or http to this machine only")
