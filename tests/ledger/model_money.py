"""What the ledger must do about money: days, prices and the balance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from .model_jobs import Life


class MoneyModel:
    """What was counted as billed, and what stops submissions for it."""

    counters: Counter[str]

    def __init__(self) -> None:
        #: The day's limits, what was counted towards them, and what the submission needed that would have passed one.
        self.limit_ms: int | None = None
        self.limit_micro_usd: int | None = None
        self.spent_ms = 0
        self.spent_micro_usd = 0
        self.limited: tuple[int, int] | None = None
        #: What a second costs; None for no money.
        self.price_micro_usd: int | None = None
        self.balance: int | None = None
        self.balance_hold: int | None = None
        #: What was sent since ever, how much of it was answered, and how much of that before the balance was asked for.
        self.sent_micro_usd = 0
        self.answered_micro_usd = 0
        self.sent_before = 0
        #: What the submission needed for which the balance was too low.
        self.low_balance_need: int | None = None

    @property
    def is_out_of_money(self) -> bool:
        return self.limited is not None or self.low_balance_need is not None

    def money(self, cost_ms: int) -> int:
        return 0 if self.price_micro_usd is None else cost_ms * self.price_micro_usd // 1000

    def is_over_day(self, ms: int, micro_usd: int) -> bool:
        by_time = self.limit_ms is not None and self.spent_ms + ms > self.limit_ms
        by_money = self.limit_micro_usd is not None and self.spent_micro_usd + micro_usd > self.limit_micro_usd
        return by_time or by_money

    def is_over_limit(self, cost_ms: int) -> bool:
        """Whether a submission is stopped by a limit of money, which stops all others, too."""
        if self.is_over_day(cost_ms, self.money(cost_ms)):
            self.limited = cost_ms, self.money(cost_ms)
            return True
        return self.weigh(self.money(cost_ms))

    def weigh(self, need: int) -> bool:
        """Stop submissions if the balance is too low for what the next one needs, else let them go on."""
        self.low_balance_need = None
        if self.balance is not None and self.balance_hold is not None:
            left = self.balance - max(0, self.sent_micro_usd - self.sent_before)
            if left - need < self.balance_hold:
                self.low_balance_need = need
        return self.low_balance_need is not None

    def weigh_again(self, *, is_waited_for: bool) -> None:
        if self.limited is not None and not self.is_over_day(*self.limited):
            self.limited = None
        if self.low_balance_need is not None:
            self.weigh(self.low_balance_need if is_waited_for else 0)

    def read_balance(self, micro_usd: int) -> None:
        self.balance, self.sent_before = micro_usd, self.answered_micro_usd
        self.weigh(self.low_balance_need or 0)

    def bill(self, life: Life, cost_ms: int) -> None:
        life.billed_ms, life.billed_micro_usd = cost_ms, self.money(cost_ms)
        self._add(life, 1)
        self.counters["submits"] += 1

    def give_back(self, life: Life, *, was_answered: bool = False) -> None:
        self._add(life, -1)
        if was_answered:
            self.answered_micro_usd -= life.billed_micro_usd
        self.limited = None
        life.billed_ms = life.billed_micro_usd = 0

    def count_billed(self, life: Life) -> None:
        self.answered_micro_usd += life.billed_micro_usd
        self.counters["billed_ms"] += life.billed_ms
        if life.billed_micro_usd:
            self.counters["billed_micro_usd"] += life.billed_micro_usd

    def _add(self, life: Life, sign: int) -> None:
        self.spent_ms += sign * life.billed_ms
        self.spent_micro_usd += sign * life.billed_micro_usd
        self.sent_micro_usd += sign * life.billed_micro_usd
