"""What comes of ends of jobs, as rules of the state machine: copies of videos, events, webhooks, further runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, multiple, precondition, rule
from wanimate.contract import Event
from wanimate_worker.ledger import Retried

from .bench import LONG_MS
from .machine import ENDPOINTS, outcome_named
from .machine_money import MoneyRules
from .model_outputs import CONNECTIONS

if TYPE_CHECKING:
    from wanimate_worker.ledger import Delivery, Keep

    from .model_outputs import End

STORE = "file:///videos"


def _order(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


class OutputRules(MoneyRules):
    """Keepers and senders that are slow, come late or twice, or die between any two steps."""

    keeps = Bundle("keeps")
    tries = Bundle("tries")

    # -- videos -------------------------------------------------------------------------------------------------

    @initialize(keeps_videos=st.booleans())
    def the_account_has_a_store(self, *, keeps_videos: bool) -> None:
        self.the_operator_sets_the_store(keeps_videos=keeps_videos)

    @rule(keeps_videos=st.booleans())
    def the_operator_sets_the_store(self, *, keeps_videos: bool) -> None:
        self.bench.redis.hset(self.bench.keys.account, "keep_url", STORE if keeps_videos else "")
        self.model.keeps_videos = keeps_videos

    @precondition(lambda self: self.is_copying)
    @rule(target=keeps, most=st.integers(1, 3), data=st.data())
    def a_keeper_claims(self, most: int, data: st.DataObject) -> object:
        """Some copies end at once, others late, twice, or never."""
        found = self.ledger.keeps.claim(most)
        for keep in found:
            life = self.model.life(keep.job_id)
            if life is not None and life.stage == "keeping":
                assert keep.outcome == outcome_named(life.rendered)
            if data.draw(st.booleans()):
                self.a_copy_ends(keep, is_copied=data.draw(st.booleans()))
        return multiple(*found)

    @rule(keep=keeps, is_copied=st.booleans())
    def a_copy_ends(self, keep: Keep, *, is_copied: bool) -> None:
        self.before = self.bench.state()
        if is_copied:
            is_ours = self.ledger.keeps.finish(keep, keep.outcome)
            assert is_ours is self.model.finish_keep(keep.job_id, keep.outcome.task_id or "")
        else:
            is_ours = self.ledger.keeps.postpone(keep, "the store is full", LONG_MS)
            assert is_ours is self.model.postpone_keep(keep.job_id)
        self.changes_nothing(unless=is_ours)

    @precondition(lambda self: self.is_copying)
    @rule()
    def keepers_die(self) -> None:
        """Leases of copies end, and what was put off is due."""
        keys = self.bench.keys
        for member in self.bench.redis.zrange(keys.keeping_later, 0, -1):
            self.bench.redis.zadd(keys.keeping_later, {member: 1})

    @property
    def is_copying(self) -> bool:
        return any(life.stage == "keeping" for life in self.model.lives.values())

    # -- webhooks -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.pending)
    @rule(target=tries, endpoint=st.sampled_from(ENDPOINTS), most=st.integers(1, 3), data=st.data())
    def a_sender_claims(self, endpoint: str, most: int, data: st.DataObject) -> object:
        """Some webhooks are answered at once, others late, twice, or never."""
        outbox = self.ledger.outbox
        outbox.sort()
        is_due = endpoint in outbox.due_endpoints(10)
        found = outbox.claim(endpoint, most).deliveries
        assert is_due or not found
        for delivery in found:
            end = self.end_of(delivery)
            assert end.is_pending
            assert end.waits_for is None, "sent before the end before it"
            assert end.endpoint == endpoint
            end.is_sending = True
        assert len(self.model.sending_to(endpoint)) <= CONNECTIONS, "too many at once"
        for delivery in found:
            if data.draw(st.booleans()):
                self.a_receiver_answers(delivery, data.draw(st.sampled_from(["taken", "failed"])))
        return multiple(*found)

    @rule(delivery=tries, answer=st.sampled_from(["taken", "failed", "given up"]))
    def a_receiver_answers(self, delivery: Delivery, answer: str) -> None:
        end = self.end_of(delivery)
        if answer == "taken":
            assert self.ledger.outbox.finish(delivery) is self.model.finish_webhook(end)
            return
        tried, is_given_up = replace(delivery, attempts=delivery.attempts + 1, why=answer), answer == "given up"
        was_there = self.ledger.outbox.fail(tried, None if is_given_up else LONG_MS)
        assert was_there is self.model.fail_webhook(end, is_given_up=is_given_up)

    @precondition(lambda self: self.model.pending)
    @rule(data=st.data())
    def the_operator_replays_a_webhook(self, data: st.DataObject) -> None:
        end = data.draw(st.sampled_from(self.model.pending))
        delivery = self.ledger.outbox.get(end.event_id)
        assert delivery is not None
        self.ledger.outbox.replay(delivery)
        self.model.replay_webhook(end)

    @precondition(lambda self: self.model.pending)
    @rule()
    def senders_die(self) -> None:
        """Leases of webhooks end, and what was put off is due."""
        self.ledger.outbox.set_back(2 * LONG_MS)
        for end in self.model.ends:
            end.is_sending = False

    def end_of(self, delivery: Delivery) -> End:
        [end] = [end for end in self.model.ends if end.event_id == delivery.event_id]
        assert (end.job_id, delivery.url) == (delivery.job_id, f"{end.endpoint}/ends/{end.job_id}")
        return end

    # -- further ends -------------------------------------------------------------------------------------------

    @property
    def retryable(self) -> list[str]:
        lives = self.model.lives.items()
        return sorted(
            job_id for job_id, life in lives if life.stage == "delivered" and life.outcome in {"unknown", "rejected"}
        )

    @precondition(lambda self: self.retryable)
    @rule(data=st.data())
    def the_operator_retries_a_failed_job(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.retryable))
        retry = self.ledger.failed.retry(job_id, priority=0, deadline_ms=None, result_key=f"celery-task-meta-{job_id}")
        assert retry.verdict is Retried.RETRIED
        assert list(retry.granted) == self.model.retry(job_id)

    # -- what holds after every step ----------------------------------------------------------------------------

    def each_end_is_told_once(self) -> None:
        """There is one event for each end, in order; each webhook and each video to be copied is found."""
        keys, ends = self.bench.keys, self.model.ends
        untold = [end for end in ends if not end.event_id]
        last_id = max((end.event_id for end in ends if end.event_id), key=_order, default="0-0")
        with self.bench.redis.pipeline(transaction=False) as pipeline:
            pipeline.xrange(keys.events, min=f"({last_id}")
            pipeline.hkeys(keys.deliveries)
            pipeline.zrange(keys.dead_webhooks, 0, -1)
            pipeline.zrange(keys.keeping, 0, -1)
            pipeline.zrange(keys.keeping_later, 0, -1)
            events, stored, given_up, keeping, keeping_later = pipeline.execute()
        assert len(events) == len(untold)
        for end, (event_id, fields) in zip(untold, events, strict=True):
            end.event_id = event_id
            event, outcome = Event.read(event_id, fields), outcome_named(end.outcome)
            assert (event.job_id, event.state) == (end.job_id, outcome.kind)
            assert (event.result, event.error and event.error.type) == (outcome.result, outcome.error)
        assert set(stored) == {end.event_id for end in self.model.pending}
        assert set(given_up) == {end.event_id for end in self.model.pending if end.is_given_up}
        listed = {*keeping, *(member.split(" ")[1] for member in keeping_later)}
        copying = {job_id for job_id, life in self.model.lives.items() if life.stage == "keeping"}
        assert copying <= listed <= copying | self.model.lost_records

    def copy_what_is_left(self) -> None:
        """Healthy keepers take over: every video is copied."""
        self.the_operator_sets_the_store(keeps_videos=False)
        self.keepers_die()
        for keep in self.ledger.keeps.claim(len(self.model.lives)):
            assert self.ledger.keeps.finish(keep, keep.outcome)
        assert self.ledger.keeps.waiting() == 0

    def send_what_is_left(self) -> None:
        """Healthy senders take over: every end is told; those that were given up, too, once they are replayed."""
        outbox = self.ledger.outbox
        for event_id in outbox.given_up():
            delivery = outbox.get(event_id)
            assert delivery is not None
            outbox.replay(delivery)
        self.senders_die()
        while list(outbox.undelivered()):
            outbox.sort()
            found = [each for name in outbox.due_endpoints(10) for each in outbox.claim(name, 10).deliveries]
            assert found, "a webhook is left for ever"
            for delivery in found:
                assert outbox.finish(delivery)
