"""Jobs of the model: what becomes of one, of its attempts, and of those who look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wanimate_worker.ledger import Submit

    from .model_outputs import End


@dataclass(eq=False)
class Attempt:
    """A run that was told to submit; it may be slow, or dead, at any point."""

    job_id: str
    life: Life
    submit: Submit
    task_id: str
    #: What the vendor said: None while the POST was not sent.
    is_accepted: bool | None = None
    #: The ledger was told that another attempt may follow.
    is_released: bool = False

    def __repr__(self) -> str:
        return f"<{self.task_id} of {self.job_id}>"


@dataclass(eq=False)
class Look:
    """One job of a claim, as it was read then; who claimed it may act on it late, twice or never."""

    job_id: str
    token: str
    stage: str | None
    nonce: str
    opted_in: bool
    hint: str

    def __repr__(self) -> str:
        return f"<a look at {self.job_id}>"


@dataclass(eq=False)
class Life:
    """A job from the moment somebody first names it until its record is gone."""

    opted_in: bool = False
    #: False while it was only cancelled in advance.
    is_recorded: bool = True
    rank: tuple[int, int] = (0, 0)
    stage: str = "waiting"
    nonce: str = ""
    task_id: str = ""
    #: The task id that a callback named while the answer was missing.
    hint: str = ""
    #: A callback of the current attempt came.
    is_called: bool = False
    #: The first outcome that was settled: 'cancelled', 'unknown', 'rejected' or the vendor's task id.
    outcome: str = ""
    #: The vendor's task, whose video is copied before the outcome is settled.
    rendered: str = ""
    #: Where its webhooks go, and its ends so far.
    endpoint: str | None = None
    ends: list[End] = field(default_factory=list)
    #: A run has it to deliver, and its lease has not ended.
    is_delivering: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    #: What its current attempt was counted as billed with, in ms of video and micro-dollars; 0 once it was taken back.
    billed_ms: int = 0
    billed_micro_usd: int = 0
    #: How often its task failed and it went back to the waiting.
    retries: int = 0
    #: How often it was refused without a verdict, when last, and how often others got through in between.
    refusals: int = 0
    refused_at_ms: int = 0
    proofs: int = 0

    @property
    def paid(self) -> int:
        return sum(attempt.is_accepted is True for attempt in self.attempts)
