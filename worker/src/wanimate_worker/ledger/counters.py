"""What the scripts have counted: requests, ends, and how long things took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from wanimate.contract.cost import usd

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Upper edges of the buckets as `counters.lua` counts them, in ms; longer times are in one more bucket.
LAG_EDGES_MS: Final = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)
TOOK_EDGES_MS: Final = (
    *(1000, 2500, 5000, 10_000, 20_000, 30_000, 45_000, 60_000, 90_000),
    *(120_000, 180_000, 300_000, 600_000, 1_800_000),
)
WEBHOOK_EDGES_MS: Final = (50, 100, 250, 500, 1000, 5000, 30_000, 300_000, 3_600_000, 86_400_000)
_LONGER: Final = "inf"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long.

    Args:
        edges_seconds: The upper edges of the buckets, rising; one more bucket has no end.
        counts: How often, in each bucket alone.
        sum_seconds: How long all of them took together.
    """

    edges_seconds: tuple[float, ...]
    counts: tuple[int, ...]
    sum_seconds: float

    @property
    def count(self) -> int:
        """How often in all."""
        return sum(self.counts)

    @property
    def mean_seconds(self) -> float | None:
        """How long on average; None if it never happened."""
        return self.sum_seconds / self.count if self.count else None

    def quantile_seconds(self, share: float) -> float | None:
        """Return an estimate of how long the quickest share took at most, as `histogram_quantile` of Prometheus does.

        Within a bucket all are taken to be spread evenly; beyond the last edge that edge is returned.

        Args:
            share: Between 0 and 1.
        """
        wanted, below = share * self.count, 0
        edges = (0.0, *self.edges_seconds)
        for number, count in enumerate(self.counts):
            if count and below + count >= wanted:
                if number == len(self.edges_seconds):
                    break
                return edges[number] + (edges[number + 1] - edges[number]) * (wanted - below) / count
            below += count
        return edges[-1] if self.count else None


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals, or counts between two moments.

    Args:
        counts: The fields of the hash.
    """

    counts: Mapping[str, int]

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Counters:
        """Build from the hash."""
        return cls({name: int(value) for name, value in fields.items()})

    def since(self, earlier: Counters) -> Counters:
        """Return what was counted after an earlier moment; nothing is less than none, should counts have been lost."""
        return Counters({name: max(0, value - earlier.counts.get(name, 0)) for name, value in self.counts.items()})

    @property
    def submits(self) -> int:
        """Submissions begun."""
        return self.counts.get("submits", 0)

    @property
    def polls(self) -> int:
        """Request permits that polls took."""
        return self.counts.get("polls", 0)

    @property
    def throttled(self) -> int:
        """Answers 429."""
        return self.counts.get("throttled", 0)

    @property
    def retries(self) -> int:
        """Tasks that failed with a transient code, and whose jobs were retried."""
        return self.counts.get("retries", 0)

    @property
    def lost_answers(self) -> int:
        """Submissions whose answer was lost."""
        return self.counts.get("lost", 0)

    @property
    def billed_seconds(self) -> float:
        """An estimate of what the vendor has billed, or may have where the answer was lost, in seconds of video."""
        return self.counts.get("billed_ms", 0) / 1000

    @property
    def billed_usd(self) -> float:
        """The same in US dollars, as far as prices were set."""
        return usd(self.counts.get("billed_micro_usd", 0))

    @property
    def ended(self) -> dict[str, int]:
        """How many jobs have ended, by kind of outcome."""
        return {kind: self.counts.get(f"ended:{kind}", 0) for kind in ("succeeded", "failed", "cancelled")}

    @property
    def webhook_tries(self) -> dict[str, int]:
        """How often webhooks were tried, by result; after `given_up` there is no further try."""
        return {result: self.counts.get(f"webhooks:{result}", 0) for result in ("delivered", "failed", "given_up")}

    @property
    def copies(self) -> dict[str, int]:
        """How often videos were copied, by result: a `failed` copy is retried, a `lost` one is not."""
        return {result: self.counts.get(f"copies:{result}", 0) for result in ("copied", "failed", "lost")}

    @property
    def copied_bytes(self) -> int:
        """How large the copied videos were."""
        return self.counts.get("copies:bytes", 0)

    @property
    def webhook(self) -> Histogram:
        """From the end of a job until its webhook was delivered."""
        return self._histogram("webhook", WEBHOOK_EDGES_MS)

    @property
    def lag(self) -> Histogram:
        """From the vendor's completion of a task, by its clock, until its job was settled."""
        return self._histogram("lag", LAG_EDGES_MS)

    @property
    def took(self) -> dict[str, Histogram]:
        """How long the vendor had tasks, by kind of job (`animate:480p`)."""
        names = sorted({name.removesuffix(":ms") for name in self.counts if name.startswith("took:") and ":ms" in name})
        return {name.removeprefix("took:"): self._histogram(name, TOOK_EDGES_MS) for name in names}

    def _histogram(self, name: str, edges_ms: tuple[int, ...]) -> Histogram:
        buckets = (*map(str, edges_ms), _LONGER)
        return Histogram(
            tuple(edge / 1000 for edge in edges_ms),
            tuple(self.counts.get(f"{name}:{bucket}", 0) for bucket in buckets),
            self.counts.get(f"{name}:ms", 0) / 1000,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts as they were at an earlier moment."""

    at_ms: int
    counters: Counters

    @classmethod
    def read(cls, stored: str) -> Sample:
        """Build from an entry of the set."""
        at_ms, _, counts = stored.partition(" ")
        # An empty table of Lua is an object in JSON.
        fields = orjson.loads(counts) or []
        return cls(int(at_ms), Counters.read(dict(zip(fields[::2], fields[1::2], strict=True))))
