"""The vendor's API for blocking code."""

from __future__ import annotations

from typing import Any

import httpx
from setup_of_run import STATUS, SUBMIT, VENDOR_KEY, VENDOR_URL, Throttled

_http = httpx.Client(
    base_url=VENDOR_URL,
    headers={"Authorization": f"Bearer {VENDOR_KEY}"},
    timeout=30,
    limits=httpx.Limits(max_connections=None, max_keepalive_connections=200),
    trust_env=False,
)


def submit(job: dict[str, Any]) -> str:
    """Submit a job and return the vendor's task id."""
    return str(_data(_http.post(SUBMIT, json=job["body"]))["taskId"])


def status(task_id: str) -> dict[str, Any] | None:
    """Return the task's last status, or None while it runs."""
    data = _data(_http.get(STATUS, params={"taskId": task_id}))
    return data if data["state"] in {"success", "failed"} else None


def _data(response: httpx.Response) -> dict[str, Any]:
    if response.status_code == 429:
        raise Throttled
    response.raise_for_status()
    return response.json()["data"]  # type: ignore[no-any-return]
