"""The account's balance. Source: the vendor's account pages; the prices are assumed, for none is published."""

from .options import Options

#: What an account without a set balance begins with, in US dollars.
_AMPLE_USD = 1_000_000.0
_MICROS = 1_000_000


class Account:
    """Holds the balance and takes each accepted task's price from it, in millionths of a US dollar.

    Args:
        options: the balance to begin with, and the prices.
    """

    def __init__(self, options: Options) -> None:
        self._prices = {"480p": options.price_480p, "720p": options.price_720p}
        self._spent_micros = 0
        self._left_micros = 0
        self.set_balance(options.balance_usd)

    @property
    def balance_usd(self) -> float:
        """What is left, in US dollars."""
        return self._left_micros / _MICROS

    @property
    def spent_usd(self) -> float:
        """What all accepted tasks cost, in US dollars."""
        return self._spent_micros / _MICROS

    def set_balance(self, balance_usd: float | None) -> None:
        """Set what is left, in US dollars; None for more than any run spends."""
        self._left_micros = round((_AMPLE_USD if balance_usd is None else balance_usd) * _MICROS)

    def cost_usd(self, billed_seconds: float, resolution: str) -> float:
        """Return the price of a task, in US dollars."""
        return round(billed_seconds * self._prices[resolution], 6)

    def covers(self, cost_usd: float) -> bool:
        """Tell whether a task of this price may be accepted."""
        return self._left_micros > 0 and self._left_micros >= round(cost_usd * _MICROS)

    def charge(self, cost_usd: float) -> None:
        """Take the price of an accepted task from the balance."""
        micros = round(cost_usd * _MICROS)
        self._left_micros -= micros
        self._spent_micros += micros
