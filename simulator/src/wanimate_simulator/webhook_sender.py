"""Send POSTs to callback URLs."""

import asyncio
from urllib.parse import urlsplit

import httpx

from .urls import is_loopback

#: POSTs on their way at once.
_CONCURRENT_POSTS = 20
#: Real seconds that the receiver has to answer. Source: the vendor's webhook guide.
TIMEOUT_SECONDS = 30.0


class WebhookSender:
    """Makes POSTs, no further than allowed and not too many at once.

    Args:
        allow_non_loopback: whether they may leave this machine.
        timeout_seconds: real seconds until a receiver's answer is given up.
    """

    def __init__(self, *, allow_non_loopback: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._allow_non_loopback = allow_non_loopback
        self._timeout_seconds = timeout_seconds
        self._posts = asyncio.Semaphore(_CONCURRENT_POSTS)
        self._client: httpx.AsyncClient | None = None

    def may_reach(self, url: str) -> bool:
        """Tell whether a URL is allowed."""
        return self._allow_non_loopback or is_loopback(urlsplit(url).hostname or "")

    async def post(self, url: str, body: bytes) -> int | None:
        """Return the status that a POST was answered, or None for no answer in time."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_seconds, trust_env=False)
        headers = {"content-type": "application/json"}
        async with self._posts:
            try:
                # httpx bounds each read; a receiver that trickles its answer must not get longer in all.
                async with asyncio.timeout(self._timeout_seconds):
                    return (await self._client.post(url, content=body, headers=headers)).status_code
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
                return None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
