"""Further callers of jobs, as rules of the ledger's state machine: they come at any time, and may be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from wanimate_worker.ledger import Followed

from .bench import follower
from .machine import LedgerRules
from .machine_callbacks import CallbackRules

if TYPE_CHECKING:
    from redis import Redis

FOLLOWERS = "follower:"


class FollowerRules(CallbackRules):
    """A follower holds no slot and has no place in line, so for all other rules it is not there."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.bench.hidden_jobs = FOLLOWERS
        #: What each follower was promised: the name of an outcome, 'lost', or nothing yet.
        self.promised: dict[str, str | None] = {}

    @rule(job_id=LedgerRules.jobs, number=st.integers(0, 2))
    def another_message_comes(self, job_id: str, number: int) -> None:
        record_id, life = f"{FOLLOWERS}{job_id}:{number}", self.model.life(job_id)
        verdict = self.ledger.followers.add(follower(record_id, leader=job_id))
        if record_id in self.promised:
            assert verdict is Followed.KNOWN
        elif life is None:
            assert verdict is Followed.LEADERLESS
        else:
            assert verdict is (Followed.SETTLED if life.outcome else Followed.FOLLOWING)
            self.promised[record_id] = life.outcome or None

    @precondition(lambda self: self.promised)
    @rule(data=st.data())
    def somebody_concludes(self, data: st.DataObject) -> None:
        record_id = data.draw(st.sampled_from(sorted(self.promised)))
        leader = record_id.split(":")[1]
        life, is_open = self.model.life(leader), self.promised[record_id] is None
        has_ended = is_open and (life is None or bool(life.outcome))
        assert self.ledger.followers.conclude(record_id, leader) is has_ended
        if has_ended:
            self.promised[record_id] = "lost" if life is None else life.outcome
