"""The names that producers, workers and other Celery code share."""

from __future__ import annotations

from typing import Final

#: Increased when the meaning of a message changes; workers refuse unknown versions.
CONTRACT_VERSION: Final = 1

#: One task is one remote job: it returns the job's result or raises its error.
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

#: string: the account of this Redis database. Queues are not separated by account, so a worker of another account would
#: take these jobs and pay for them.
DATABASE_KEY: Final = "wanimate.account"

#: The contract version of a message of this library, whose representation is trimmed for logs and Flower. Messages of
#: other Celery code have none; workers read them as the current version and trim them.
CONTRACT_HEADER: Final = "wanimate_contract"

#: Lifetime of an idempotency key before its job is delivered, in ms: 90 days, longer than any job waits. After the
#: delivery, the key lives as long as the result.
CLAIM_TTL_MS: Final = 90 * 86_400_000

#: Celery's default steps; each is a list in Redis, so producer and worker must use the same ones.
PRIORITY_STEPS: Final = (0, 3, 6, 9)
#: kombu's separator between a queue's name and a priority.
SEPARATOR: Final = "\x06\x16"
#: Senders may have other `priority_steps` than workers: Celery's documentation has an example with all ten.
STEPS: Final = range(10)
#: Unacknowledged messages. Not kombu's default name: kombu requeues every message under it after the visibility
#: timeout, including those of other Celery apps in the same database, whose tasks may take longer.
UNACKED_KEY: Final = "wanimate.unacked"


def list_of(queue: str, step: int) -> str:
    """Return the list in Redis with a queue's messages of one priority step."""
    return f"{queue}{SEPARATOR}{step}" if step else queue


class Keys:
    """The names of the ledger's keys for one account.

    The braces make the account a Redis Cluster hash tag, so that all keys of an account are in one slot
    (Redis documentation, "Redis Cluster specification: hash tags").
    """

    def __init__(self, account: str) -> None:
        self.prefix: Final = f"wanimate:{{{account}}}:"
        #: zset: jobs that this library has enqueued and no worker has recorded; score = when, Unix ms by the caller's
        #: clock. Entries, and the whole set, live as long as results.
        self.enqueued: Final = f"{self.prefix}enqueued"
        #: zset: jobs without a slot; score = priority band, then arrival.
        self.waiting: Final = f"{self.prefix}waiting"
        #: zset: jobs that wait for their next attempt; score = when they return to `waiting`, Unix ms.
        self.parked: Final = f"{self.prefix}parked"
        #: zset: jobs that hold a slot; score = when it was taken, Unix ms.
        self.slots: Final = f"{self.prefix}slots"
        #: zset: the only clock; score = when the job must next be checked, Unix ms.
        self.due: Final = f"{self.prefix}due"
        #: hash: the account's limits, the request budget, and what blocks submissions.
        self.account: Final = f"{self.prefix}account"
        #: zset: jobs that failed and can be retried; score = when they were settled, Unix ms.
        self.failed: Final = f"{self.prefix}failed"
        #: list: dead letters: unusable messages, the newest first, each with its number and the reason.
        self.dead: Final = f"{self.prefix}dead"
        #: string: when the last poll started, Unix ms: beat and a worker ran then.
        self.tick: Final = f"{self.prefix}tick"
        #: zset: jobs whose submission's answer was lost; score = when, Unix ms.
        self.unknown: Final = f"{self.prefix}unknown"
        #: hash: totals: requests, ended jobs, histograms.
        self.counters: Final = f"{self.prefix}counters"
        #: zset: copies of the counters, about one a minute; score = when, Unix ms.
        self.samples: Final = f"{self.prefix}samples"
        #: hash: estimated billed time by day and label, in ms of video.
        self.billed: Final = f"{self.prefix}billed"
        #: hash: the same in micro-dollars, at the price of that time; empty without prices.
        self.spent: Final = f"{self.prefix}spent"
        #: hash: the account's balance in the vendor's last response, and the cost of later submissions.
        self.balance: Final = f"{self.prefix}balance"
        #: hash: how many requests the vendor has answered, in total and in each second of the last minute.
        self.answered: Final = f"{self.prefix}answered"
        #: list: the 429s that paused submissions in the last hour, the newest first, with the load at the time.
        self.throttles: Final = f"{self.prefix}throttles"
        #: list: jobs that have a slot or an outcome, for any worker. A hint only: the ledger decides.
        self.ready: Final = f"{self.prefix}ready"
        #: list: has an entry if a callback or the tick of beat requests a check for due jobs.
        self.wake: Final = f"{self.prefix}wake"
        #: hash: a histogram of task durations for each kind, and how often a callback came first.
        self.durations: Final = f"{self.prefix}durations"

        #: stream: the newest `events_kept` ends of jobs; the id of an entry is the event id everywhere.
        self.events: Final = f"{self.prefix}events"
        #: hash: undelivered webhooks, event id -> JSON of the event and its destination.
        self.deliveries: Final = f"{self.prefix}deliveries"
        #: zset: webhooks that are not in the set of their endpoint yet; score = when written, Unix ms.
        self.outbox: Final = f"{self.prefix}outbox"
        #: zset: endpoints, `scheme://host:port`, with webhooks; score = when the next may be sent, Unix ms.
        self.endpoints: Final = f"{self.prefix}endpoints"
        #: hash: webhooks that wait for an earlier one of the same job, by the event id of that.
        self.successors: Final = f"{self.prefix}successors"
        #: zset: webhooks whose attempts are exhausted; score = when, Unix ms.
        self.dead_webhooks: Final = f"{self.prefix}dead_webhooks"
        #: zset: jobs whose videos are to be copied; score = when the vendor deletes them, Unix ms.
        self.keeping: Final = f"{self.prefix}keeping"
        #: zset: jobs whose videos are being copied or wait for a retry; score = when the next copy may start, Unix ms.
        self.keeping_later: Final = f"{self.prefix}keeping_later"

    def endpoint(self, endpoint: str) -> str:
        """Return the zset of the webhooks of one endpoint; score = when each may be sent, Unix ms."""
        return f"{self.prefix}endpoint:{endpoint}"

    def sending(self, endpoint: str) -> str:
        """Return the zset of the webhooks being sent to one endpoint; score = when the attempt counts as lost."""
        return f"{self.prefix}sending:{endpoint}"

    def job(self, job_id: str) -> str:
        """Return the hash of one job."""
        return f"{self.prefix}job:{job_id}"

    def followers(self, job_id: str) -> str:
        """Return the set of records that end with this job: further callers with the same key or id."""
        return f"{self.prefix}followers:{job_id}"

    def idempotency(self, job_id: str) -> str:
        """Return the string with the request that an idempotency key belongs to."""
        return f"{self.prefix}request:{job_id}"
