"""The simulated vendor of a running stack: its ground truth and its fault switches."""

from __future__ import annotations

from typing import Any, Self

import httpx


class Simulator:
    """Reads and steers a running simulator.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/simulator", trust_env=False, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def billed_tasks(self) -> int:
        """How many tasks the vendor has accepted, and so billed, since the last reset."""
        return int(self.summary()["accepted"])

    def tasks(self) -> list[dict[str, Any]]:
        """Return every accepted task, in order of acceptance; its request is `input`."""
        return self._get("/tasks")["tasks"]  # type: ignore[no-any-return]

    def videos(self) -> list[dict[str, Any]]:
        """Return the video of every task that has succeeded, with URL, size and SHA-256."""
        return self._get("/videos")["videos"]  # type: ignore[no-any-return]

    def summary(self) -> dict[str, Any]:
        """Return the totals since the last reset."""
        return self._http.get("/summary").raise_for_status().json()  # type: ignore[no-any-return]

    def set_faults(self, **faults: Any) -> None:
        """Switch faults on; those that are not named are switched off."""
        self._http.put("/faults", json=faults).raise_for_status()

    def fail_with(self, code: str) -> None:
        """Make every task fail with a failure code of the vendor, until the next reset; earlier tasks are forgotten."""
        self.reset(failure_rate=1, failure_codes={code: 1})

    def reset(self, **options: Any) -> None:
        """Forget all tasks, switch faults off, and set options such as `mean_seconds` or `balance_usd`."""
        self._http.post("/reset", json=options).raise_for_status()
        self.set_faults()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _get(self, path: str) -> dict[str, Any]:
        return self._http.get(path, params={"limit": 10_000}).raise_for_status().json()  # type: ignore[no-any-return]
