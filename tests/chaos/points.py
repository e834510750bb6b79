"""The points at which a worker can be told to die, named for the two steps each lies between."""

from __future__ import annotations

POINTS = (
    "take-and-run",
    "run-and-record",
    "intent-and-post",
    "post-and-record",
    "claim-and-poll",
    "settle-and-delivery",
    "during-delivery",
)
