"""Estimates the cost of jobs in billed seconds of video and, if prices are set, in US dollars.

Money is stored in whole micro-dollars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shorter videos are billed as so many seconds (vendor document, "Tips").
MIN_BILLED_SECONDS: Final = 5.0
#: Longer videos are billed as so many seconds (vendor document, "Tips").
MAX_BILLED_SECONDS: Final = 120.0
#: Micro-dollars in a US dollar.
MICRO_USD: Final = 1_000_000


def billed_seconds(video_seconds: float | None) -> float:
    """Return the estimated billed seconds; a video of unknown length counts as the maximum."""
    if video_seconds is None:
        return MAX_BILLED_SECONDS
    return max(MIN_BILLED_SECONDS, min(MAX_BILLED_SECONDS, video_seconds))


class Prices(NamedTuple):
    """The vendor's prices per second of video, in micro-dollars; None if not set.

    The fields have their names in the account's hash. The default resolution is 480p.
    """

    price_480p_micro_usd: int | None = None
    price_720p_micro_usd: int | None = None

    @classmethod
    def read(cls, account: Mapping[str, str]) -> Self:
        """Read the prices from the account's hash."""
        amounts = (account.get(name) for name in cls._fields)
        return cls(*(int(amount) if amount else None for amount in amounts))

    def micro_usd(self, seconds: float, resolution: str | None) -> int | None:
        """Return the price of billed seconds; None if it is not set."""
        price = self.price_720p_micro_usd if resolution == "720p" else self.price_480p_micro_usd
        # Rounds half up, like `cost_of` in billing.lua.
        return None if price is None else (round(seconds * 1000) * price + 500) // 1000


def to_micro_usd(usd: float) -> int:
    """Return an amount of US dollars in micro-dollars."""
    return round(usd * MICRO_USD)


def usd(micro_usd: float) -> float:
    """Return an amount in US dollars as a number; `format_usd` returns text."""
    return micro_usd / MICRO_USD


def format_usd(micro_usd: float) -> str:
    """Return an amount as text: in cents, or with three significant digits below a dollar."""
    sign, amount = "-" if micro_usd < 0 else "", round(abs(micro_usd))
    cents = (amount + 5_000) // 10_000
    if amount >= MICRO_USD or amount == cents * 10_000:
        return f"{sign}${cents // 100:,}.{cents % 100:02}"
    # Three significant digits.
    unit = 10 ** max(0, len(str(amount)) - 3)
    shown = (amount + unit // 2) // unit * unit
    if shown >= MICRO_USD:
        return f"{sign}$1.00"
    digits = f"{shown:06}".rstrip("0")
    return f"{sign}$0.{digits:0<2}"
