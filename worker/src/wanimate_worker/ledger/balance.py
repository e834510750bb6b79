"""The account's balance as the vendor reported it last, and the submissions it blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self, cast

from .script import Cause, Concern, script

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The longest time between two requests for the balance, in ms: for a vendor that reports none.
SELDOM_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """What is known about the balance.

    Args:
        micro_usd: As the vendor reported it last, in micro-dollars; None if it never did.
        at_ms: When it did, in Redis time; 0 if never.
        sent_micro_usd: What the reading does not know costs: sent since then, or on its way, in micro-dollars, where
            prices are known.
        why: Why the last reading failed; empty if it did not.
    """

    micro_usd: int | None = None
    at_ms: int = 0
    sent_micro_usd: int = 0
    why: str = ""

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Build from the hash."""
        micro_usd = fields.get("micro_usd")
        sent = int(fields.get("sent_micro_usd", 0)) - int(fields.get("sent_before_micro_usd", 0))
        return cls(
            None if micro_usd is None else int(micro_usd),
            int(fields.get("at_ms", 0)),
            0 if micro_usd is None else max(0, sent),
            fields.get("why", ""),
        )

    @property
    def left_micro_usd(self) -> int | None:
        """What is left of it, less what was sent since, in micro-dollars; None if it was never read."""
        return None if self.micro_usd is None else self.micro_usd - self.sent_micro_usd


class WeighedBalance(NamedTuple):
    """What a reading has changed.

    Args:
        was_low: Whether the balance blocked submissions before.
        is_low: Whether it does now.
        is_out_of_credit: Whether the account is suspended for lack of credit.
        is_news: Whether it could not be read, for another reason than the last time.
    """

    was_low: bool
    is_low: bool
    is_out_of_credit: bool
    is_news: bool


class Balance(Concern):
    """The balance, and the submissions it blocks."""

    def read(self) -> BalanceReading:
        """Return what is known about the balance."""
        return BalanceReading.read(cast("dict[str, str]", self._redis.hgetall(self._keys.balance)))

    def claim(self) -> int | None:
        """Claim the next request for the balance, with a permit for it; None if it is not due.

        Returns:
            What was sent and answered until now, in micro-dollars: the reading knows it, so `record` takes it.
        """
        return self._claim_balance()

    @script(lambda answered: None if answered is None else int(answered))
    def _claim_balance(self, seldom_ms: int = SELDOM_MS) -> int | None: ...

    def record(self, micro_usd: int, answered_micro_usd: int) -> WeighedBalance:
        """Record a reading, and block or resume submissions by it.

        Args:
            micro_usd: The balance, in micro-dollars.
            answered_micro_usd: As `claim` returned it.
        """
        return self._record_balance(micro_usd, "", answered_micro_usd, 0)

    def note_none(self, why: str, *, again_ms: int = 0) -> WeighedBalance:
        """Record why the balance could not be read; the last reading is kept.

        Args:
            why: What went wrong.
            again_ms: The delay of the next request, if longer than otherwise.
        """
        return self._record_balance(None, why, None, min(again_ms, SELDOM_MS))

    @script(lambda answer: WeighedBalance(*map(bool, answer)))
    def _record_balance(
        self, micro_usd: int | None, why: Cause, answered_micro_usd: int | None, again_ms: int
    ) -> WeighedBalance: ...
