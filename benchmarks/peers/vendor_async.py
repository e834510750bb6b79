"""The vendor's API for coroutines, with aiohttp: httpx's async pool is slow with hundreds of requests at once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from setup_of_run import POLL_SECONDS, STATUS, SUBMIT, VENDOR_KEY, VENDOR_URL, Throttled, backoff_seconds


async def start(context: dict[str, Any]) -> None:
    """Open a session with as many connections to the vendor as needed."""
    context["http"] = aiohttp.ClientSession(
        VENDOR_URL,
        headers={"Authorization": f"Bearer {VENDOR_KEY}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=30),
    )


async def stop(context: dict[str, Any]) -> None:
    """Close the session."""
    await context["http"].close()


async def generate(http: aiohttp.ClientSession, job: dict[str, Any]) -> dict[str, Any]:
    """Submit a job, wait out every 429, and return the status it ended with: one coroutine for the whole job."""
    attempt = 0
    while True:
        try:
            task_id = (await _data(http.post(SUBMIT, json=job["body"])))["taskId"]
            break
        except Throttled:
            await asyncio.sleep(backoff_seconds(attempt))
            attempt += 1
    throttled = 0
    while True:
        await asyncio.sleep(POLL_SECONDS + (backoff_seconds(throttled) if throttled else 0))
        try:
            status = await _data(http.get(STATUS, params={"taskId": task_id}))
        except Throttled:
            throttled += 1
            continue
        throttled = 0
        if status["state"] in {"success", "failed"}:
            return status


async def _data(request: Any) -> dict[str, Any]:
    async with request as response:
        if response.status == 429:
            raise Throttled
        response.raise_for_status()
        return (await response.json())["data"]  # type: ignore[no-any-return]
