"""Prices, a day's limits and the balance, as rules of the state machine."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .machine_followers import FollowerRules

#: A second costs so much; the jobs cost 0.2 to 3.4 dollars then.
PRICE_MICRO_USD = 40_000
DOLLAR = 1_000_000
PRICES = st.sampled_from([None, PRICE_MICRO_USD, PRICE_MICRO_USD, 2 * PRICE_MICRO_USD])
#: Some of the jobs pass it.
LIMITS = st.sampled_from([None, None, 3 * DOLLAR, 8 * DOLLAR])
HOLDS = st.sampled_from([None, DOLLAR, 2 * DOLLAR])
BALANCES = st.sampled_from([-DOLLAR, DOLLAR, 4 * DOLLAR, 20 * DOLLAR])


class MoneyRules(FollowerRules):
    """An operator who changes prices and limits, and readings of the balance."""

    @rule(price=PRICES, limit=LIMITS, hold=HOLDS, is_used=st.booleans())
    def other_money(self, price: int | None, limit: int | None, hold: int | None, *, is_used: bool) -> None:
        limit = limit if price else None
        self.bench.limit(price_480p_micro_usd=price, daily_billed_micro_usd=limit, balance_hold_micro_usd=hold)
        model = self.model
        model.price_micro_usd, model.limit_micro_usd, model.balance_hold = price, limit, hold
        if is_used:
            assert self.ledger.polls.grant() == model.tick()

    @rule(micro_usd=BALANCES, is_told=st.sampled_from([True, True, False]))
    def the_balance_is_asked(self, micro_usd: int, *, is_told: bool) -> None:
        model = self.model
        if is_told:
            answered = int(self.bench.state().balance.get("answered_micro_usd", 0))
            weighed = self.ledger.balance.record(micro_usd, answered)
            model.read_balance(micro_usd)
        else:
            weighed = self.ledger.balance.note_none("no answer")
            model.weigh(model.low_balance_need or 0)
        assert weighed.is_low is (model.low_balance_need is not None)
