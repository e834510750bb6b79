"""What really happened at the vendor."""

from __future__ import annotations

from typing import Any

import httpx


class Vendor:
    """The simulator's endpoints of its own.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/simulator", trust_env=False, timeout=10)

    def summary(self) -> dict[str, Any]:
        """Return the totals since the start."""
        return self._http.get("/summary").raise_for_status().json()  # type: ignore[no-any-return]

    def task_of(self) -> dict[str, dict[str, Any]]:
        """Return the last accepted task of each marker."""
        tasks = self._http.get("/tasks", params={"limit": 10_000}).raise_for_status().json()["tasks"]
        return {task["marker"]: task for task in tasks}

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
