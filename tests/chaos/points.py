"""The points at which a worker can be told to die or to stand still, named for the two steps each lies between."""

from __future__ import annotations

#: Where a worker can be told to end.
POINTS = (
    "take-and-run",
    "run-and-record",
    "intent-and-post",
    "post-and-record",
    "claim-and-poll",
    "settle-and-delivery",
    "during-delivery",
)

#: The steps of a submission that a request has surely not left before, in order: who stands still there for longer than
#: the leases must not send any more.
BEFORE_POST = ("begin-and-reply", "intent-and-post", "connection-and-headers", "headers-and-body")
#: Where a worker can be told to stand still.
STANDSTILLS = (*BEFORE_POST, "post-and-record")

#: Where a worker can be told to end after the vendor's end of a task: copies of videos and webhooks.
OUTPUT_POINTS = (
    "claim-and-copy",
    "middle-of-copy",
    "copy-and-settle",
    "keep-and-delivery",
    "claim-and-send",
    "answer-and-record",
    "record-and-next",
)
#: Where the reader of events can be told to end.
CONSUMER_POINTS = ("read-and-write", "write-and-read")
