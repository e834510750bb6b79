"""The names that producers, workers and any other Celery code agree on."""

from __future__ import annotations

from typing import Final

#: Raised when a message changes its meaning; workers refuse what they do not know instead of guessing.
CONTRACT_VERSION: Final = 1

#: One task is one whole remote job: its result is the video, its failure is the vendor's.
GENERATE_TASK: Final = "wanimate.generate"
#: Carries a few hundred jobs in one message; the worker records each of them as its own `wanimate.generate`.
ENQUEUE_TASK: Final = "wanimate.enqueue"
CANCEL_TASK: Final = "wanimate.cancel"
POLL_TASK: Final = "wanimate.poll"
HOUSEKEEPING_TASK: Final = "wanimate.housekeeping"

#: Where new jobs arrive.
ENTRY_QUEUE: Final = "wanimate"
#: Polls, housekeeping and cancellations.
CONTROL_QUEUE: Final = "wanimate.control"

#: string: the account that this Redis database belongs to. Queues are not divided by account, so a worker of another
#: one would take jobs that are not its own, and pay for them.
DATABASE_KEY: Final = "wanimate.account"

#: The contract version of a message made by this library, whose representation is trimmed for logs and Flower.
#: Messages of other Celery code carry none; they are read as the current version and trimmed by the worker.
CONTRACT_HEADER: Final = "wanimate_contract"

#: A use of an idempotency key is remembered for so long while no worker has delivered its job, in ms: 90 days, longer
#: than jobs are held or wait. From its delivery on it is remembered for as long as the result is kept.
CLAIM_TTL_MS: Final = 90 * 86_400_000

#: Celery's default steps, named because producer and worker must use the same ones: each step is a list in Redis.
PRIORITY_STEPS: Final = (0, 3, 6, 9)
#: kombu's separator between a queue's name and a priority.
SEPARATOR: Final = "\x06\x16"
#: Senders may have other `priority_steps` than workers: Celery's documentation has an example with all ten.
STEPS: Final = range(10)
#: Where messages that workers hold are kept. Not kombu's default name: its sweep gives back every message it finds
#: there after the visibility time-out, also those of other Celery apps in the same database, whose tasks may rightly
#: take longer.
UNACKED_KEY: Final = "wanimate.unacked"


def list_of(queue: str, step: int) -> str:
    """Return the list in Redis in which a queue's messages of one priority step lie."""
    return f"{queue}{SEPARATOR}{step}" if step else queue


class Keys:
    """The names of the ledger's keys for one account.

    The braces make the account a Redis Cluster hash tag, so that all keys of an account live in one slot
    (Redis documentation, "Redis Cluster specification: hash tags").
    """

    def __init__(self, account: str) -> None:
        self.prefix: Final = f"wanimate:{{{account}}}:"
        #: zset: jobs that this library has enqueued and no worker has recorded; score = when, Unix ms by the caller's
        #: clock. Entries, and the whole set, are kept for as long as results.
        self.enqueued: Final = f"{self.prefix}enqueued"
        #: zset: jobs without a slot; score = priority band, then arrival.
        self.waiting: Final = f"{self.prefix}waiting"
        #: zset: jobs that wait for their next attempt; score = when they are among the waiting again, Unix ms.
        self.parked: Final = f"{self.prefix}parked"
        #: zset: jobs that hold an upstream slot; score = when it was taken, Unix ms.
        self.slots: Final = f"{self.prefix}slots"
        #: zset: the only clock; score = when the job must next be checked, Unix ms.
        self.due: Final = f"{self.prefix}due"
        #: hash: what the account may do now: its limits, the request budget, and the gate: what stops submissions.
        self.account: Final = f"{self.prefix}account"
        #: zset: jobs that failed and can be run again; score = when they were settled, Unix ms.
        self.failed: Final = f"{self.prefix}failed"
        #: list: messages that no worker could use, the newest first, each with its number and the reason.
        self.dead: Final = f"{self.prefix}dead"
        #: string: when the last poll began, Unix ms: beat and a worker were alive then.
        self.tick: Final = f"{self.prefix}tick"
        #: zset: jobs whose submission's answer was lost; score = when, Unix ms.
        self.unknown: Final = f"{self.prefix}unknown"
        #: hash: totals of what happened: requests, ends, histograms.
        self.counters: Final = f"{self.prefix}counters"
        #: zset: copies of the counters, about one a minute; score = when, Unix ms.
        self.samples: Final = f"{self.prefix}samples"
        #: hash: what the vendor probably bills, by day and label, in ms of video.
        self.billed: Final = f"{self.prefix}billed"
        #: hash: the same in money, in micro-dollars, at the price of the moment; empty while no price is set.
        self.spent: Final = f"{self.prefix}spent"
        #: hash: the account's balance as the vendor stated it last, and what was sent since.
        self.balance: Final = f"{self.prefix}balance"
        #: hash: how many requests the vendor has answered, and in each second of the last minute.
        self.answered: Final = f"{self.prefix}answered"
        #: list: the 429s that closed the gate in the last hour, the newest first, with what was under way.
        self.throttles: Final = f"{self.prefix}throttles"
        #: list: jobs that have a slot or an outcome, offered to any worker. Only a hint; the ledger has the truth.
        self.ready: Final = f"{self.prefix}ready"
        #: list: an entry while a callback, or the tick of beat, wants a worker to look for due jobs.
        self.wake: Final = f"{self.prefix}wake"
        #: hash: how many tasks of each kind took how long, and how often a callback came first.
        self.durations: Final = f"{self.prefix}durations"

        #: stream: how each job ended, the newest `events_kept`; an entry's id names the event everywhere.
        self.events: Final = f"{self.prefix}events"
        #: hash: the webhooks that are not delivered, event id -> JSON of what `events` has and where it goes.
        self.deliveries: Final = f"{self.prefix}deliveries"
        #: zset: webhooks that are not yet with those of their endpoint; score = when written, Unix ms.
        self.outbox: Final = f"{self.prefix}outbox"
        #: zset: endpoints, `scheme://host:port`, that have webhooks; score = when the next may be sent, Unix ms.
        self.endpoints: Final = f"{self.prefix}endpoints"
        #: hash: webhooks that wait for an earlier one of the same job, by the event id of that.
        self.successors: Final = f"{self.prefix}successors"
        #: zset: webhooks that were given up; score = when, Unix ms.
        self.dead_webhooks: Final = f"{self.prefix}dead_webhooks"
        #: zset: jobs whose videos are to be copied; score = when the vendor stops serving them, Unix ms.
        self.keeping: Final = f"{self.prefix}keeping"
        #: zset: jobs whose videos are being copied, or are copied later; score = when another copy may begin, Unix ms.
        self.keeping_later: Final = f"{self.prefix}keeping_later"

    def endpoint(self, endpoint: str) -> str:
        """Return the set of the webhooks of one endpoint; score = when each may be sent, Unix ms."""
        return f"{self.prefix}endpoint:{endpoint}"

    def sending(self, endpoint: str) -> str:
        """Return the set of the webhooks that are being sent to one endpoint; score = when that counts as lost."""
        return f"{self.prefix}sending:{endpoint}"

    def job(self, job_id: str) -> str:
        """Return the hash that holds everything known about one job."""
        return f"{self.prefix}job:{job_id}"

    def followers(self, job_id: str) -> str:
        """Return the set of records that end when this job ends: further callers of the same key or id."""
        return f"{self.prefix}followers:{job_id}"

    def idempotency(self, job_id: str) -> str:
        """Return the string that remembers the request an idempotency key was first used for."""
        return f"{self.prefix}request:{job_id}"
