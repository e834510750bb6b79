"""POSTs to callback URLs."""

import asyncio
from urllib.parse import urlsplit

import httpx

from .loopback import is_loopback

#: POSTs on their way at once.
_CONCURRENT_POSTS = 20
#: Real seconds to wait for the receiver.
_TIMEOUT_SECONDS = 5.0


class Postman:
    """Makes POSTs, no further than allowed and not too many at once.

    Args:
        allow_non_loopback: whether they may leave this machine.
    """

    def __init__(self, *, allow_non_loopback: bool) -> None:
        self._allow_non_loopback = allow_non_loopback
        self._posts = asyncio.Semaphore(_CONCURRENT_POSTS)
        self._client: httpx.AsyncClient | None = None

    def may_reach(self, url: str) -> bool:
        """Tell whether a URL is allowed."""
        return self._allow_non_loopback or is_loopback(urlsplit(url).hostname or "")

    async def post(self, url: str, body: bytes) -> int | None:
        """Return the status that a POST was answered, or None for no answer."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        async with self._posts:
            try:
                answer = await self._client.post(url, content=body, headers={"content-type": "application/json"})
            except (httpx.HTTPError, httpx.InvalidURL):
                return None
        return answer.status_code

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
