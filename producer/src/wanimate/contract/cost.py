"""What a job will probably cost: in seconds of video that the vendor bills, and in US dollars where prices are set.

Money is kept and added up in whole micro-dollars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shorter videos are billed as this, in seconds (vendor document, "Tips").
MIN_BILLED_SECONDS: Final = 5.0
#: Longer videos are billed as this, in seconds (vendor document, "Tips").
MAX_BILLED_SECONDS: Final = 120.0
#: Micro-dollars in a US dollar.
MICRO_USD: Final = 1_000_000


def billed_seconds(video_seconds: float | None) -> float:
    """Return an estimate of the seconds that the vendor bills; a video of unknown length counts as the longest."""
    if video_seconds is None:
        return MAX_BILLED_SECONDS
    return max(MIN_BILLED_SECONDS, min(MAX_BILLED_SECONDS, video_seconds))


class Prices(NamedTuple):
    """What the vendor takes for a second of video, in micro-dollars; None where it is not known.

    The fields are called as in the account's hash in the ledger. A job that names no resolution is of 480p.
    """

    price_480p_micro_usd: int | None = None
    price_720p_micro_usd: int | None = None

    @classmethod
    def read(cls, account: Mapping[str, str]) -> Self:
        """Build from the account's hash, as the ledger keeps it."""
        amounts = (account.get(name) for name in cls._fields)
        return cls(*(int(amount) if amount else None for amount in amounts))

    def micro_usd(self, seconds: float, resolution: str | None) -> int | None:
        """Return what billed seconds cost; None where the price is not known."""
        price = self.price_720p_micro_usd if resolution == "720p" else self.price_480p_micro_usd
        # Rounded as `cost_of` in billing.lua does: a half goes up.
        return None if price is None else (round(seconds * 1000) * price + 500) // 1000


def to_micro_usd(usd: float) -> int:
    """Return an amount of US dollars in micro-dollars."""
    return round(usd * MICRO_USD)


def usd(micro_usd: float) -> float:
    """Return an amount in US dollars, for programs; `format_usd` is for people."""
    return micro_usd / MICRO_USD


def format_usd(micro_usd: float) -> str:
    """Return an amount for people: in cents; below a dollar with up to three digits that are not leading zeros."""
    sign, amount = "-" if micro_usd < 0 else "", round(abs(micro_usd))
    cents = (amount + 5_000) // 10_000
    if amount >= MICRO_USD or amount == cents * 10_000:
        return f"{sign}${cents // 100:,}.{cents % 100:02}"
    # Three digits that are not leading zeros.
    unit = 10 ** max(0, len(str(amount)) - 3)
    shown = (amount + unit // 2) // unit * unit
    if shown >= MICRO_USD:
        return f"{sign}$1.00"
    digits = f"{shown:06}".rstrip("0")
    return f"{sign}$0.{digits:0<2}"
