"""The vendor's API for coroutines, with aiohttp: httpx's async pool is slow with hundreds of requests at once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from setup_of_run import POLL_SECONDS, VENDOR_KEY, VENDOR_URL, backoff_seconds

_TOO_MANY_REQUESTS = 429


class Throttled(Exception):
    """The vendor answered 429."""


def session() -> aiohttp.ClientSession:
    """Return a session with as many connections as needed."""
    return aiohttp.ClientSession(
        VENDOR_URL,
        headers={"Authorization": f"Bearer {VENDOR_KEY}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=30),
    )


async def generate(http: aiohttp.ClientSession, job: dict[str, Any]) -> dict[str, Any]:
    """Submit a job, wait out every 429, and return the status it ended with: one coroutine for the whole job."""
    task_id = await _submit(http, job)
    throttled = 0
    while True:
        await asyncio.sleep(POLL_SECONDS + (backoff_seconds(throttled) if throttled else 0))
        try:
            status = await _status(http, task_id)
        except Throttled:
            throttled += 1
            continue
        throttled = 0
        if status["state"] in {"success", "failed"}:
            return status


async def _submit(http: aiohttp.ClientSession, job: dict[str, Any]) -> str:
    body = {"request_type": "async", "provider": "auto", "input": job["input"]}
    attempt = 0
    while True:
        try:
            async with http.post("/api/v1/generateTask/wan-2-2-animate", json=body) as response:
                return str((await _data(response))["taskId"])
        except Throttled:
            await asyncio.sleep(backoff_seconds(attempt))
            attempt += 1


async def _status(http: aiohttp.ClientSession, task_id: str) -> dict[str, Any]:
    async with http.get("/api/v1/statusTask/wan-2-2-animate", params={"taskId": task_id}) as response:
        return await _data(response)


async def _data(response: aiohttp.ClientResponse) -> dict[str, Any]:
    if response.status == _TOO_MANY_REQUESTS:
        raise Throttled
    response.raise_for_status()
    return (await response.json())["data"]  # type: ignore[no-any-return]
