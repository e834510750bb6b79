"""What a finished job gives back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

#: For how long the vendor keeps videos after it has completed a task, in seconds (vendor document, "Response format").
RESULT_URLS_TTL_SECONDS: Final = 86_400


class Result(BaseModel):
    """The vendor's answer for a finished job.

    Args:
        urls: Where the videos are.
        task_id: The vendor's task id.
        created_at: When the vendor created the task.
        completed_at: When the vendor completed it.
        cost_time_ms: How long the vendor says it worked, in milliseconds.
        urls_expire_at: When the vendor stops serving the URLs, as it documents; None if not known. A result that an
            older version has stored gets 24 hours from `completed_at`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    urls: tuple[str, ...]
    task_id: str
    created_at: datetime | None = None
    completed_at: datetime | None = None
    cost_time_ms: int | None = None
    urls_expire_at: datetime | None = Field(default=None, validate_default=True)

    @field_validator("urls_expire_at")
    @classmethod
    def _by_completion(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        completed_at: datetime | None = info.data.get("completed_at")
        if value is None and completed_at is not None:
            try:
                value = completed_at + timedelta(seconds=RESULT_URLS_TTL_SECONDS)
            except OverflowError:
                # A nonsensical time stamp must not cost a paid video.
                return None
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)

    @property
    def is_expired(self) -> bool:
        """Whether the vendor has stopped serving the URLs, by the clock of this machine."""
        return self.urls_expire_at is not None and datetime.now(UTC) >= self.urls_expire_at

    def to_json(self) -> dict[str, Any]:
        """Return the plain value that the Celery task returns."""
        return self.model_dump(mode="json")
