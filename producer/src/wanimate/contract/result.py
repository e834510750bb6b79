"""What a finished job gives back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """The vendor's answer for a finished job.

    Args:
        urls: Where the videos are.
        task_id: The vendor's task id.
        created_at: When the vendor created the task.
        completed_at: When the vendor completed it.
        cost_time_ms: How long the vendor says it worked, in milliseconds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    urls: tuple[str, ...]
    task_id: str
    created_at: datetime | None = None
    completed_at: datetime | None = None
    cost_time_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the plain value that the Celery task returns."""
        return self.model_dump(mode="json")
