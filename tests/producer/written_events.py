"""Writes events as the ledger does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wanimate.contract import Keys, Outcome

from .conftest import RESULT

if TYPE_CHECKING:
    from .conftest import Database

KEY = Keys("default").events


def write_event(database: Database, job_id: str, event_id: str = "*", outcome: Outcome | None = None) -> str:
    """Write the end of a job and return the id of the event."""
    written: str = database.redis.xadd(KEY, fields_of(job_id, outcome), id=event_id)
    return written


def fields_of(job_id: str, outcome: Outcome | None = None) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "outcome": (outcome or Outcome.success(RESULT)).model_dump_json(exclude_none=True),
        "request": json.dumps({"labels": {"order": "7"}, "type": "animate", "video_seconds": 5}),
        "attempts": "1",
        "waiting_at_ms": "1764590000000",
        "submitted_at_ms": "1764590001000",
        "settled_at_ms": "1764590042000",
        "billed_micro_usd": "125000",
    }
