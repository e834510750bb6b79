"""Today's cost by label, in few rows however many values a label has. The page, `top`, and JSON show these rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import MAX_BILLED_SECONDS
from wanimate.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Values of one label name that have a row of their own: those with the most seconds.
_MAX_VALUES: Final = 5
#: A name with more values is folded into one row if nearly all of them may be single jobs, as `order=1831` is.
_MAX_SINGLE_JOBS: Final = 20
_NEARLY_ALL: Final = 0.9


@dataclass(frozen=True, slots=True)
class LabelCost:
    """A row of the breakdown.

    Args:
        text: The label as `name=value`, or which labels are folded: `order: 197 values`.
        name: The label's name; empty for labels that the ledger has added up under no name.
        is_folded: Whether the row adds up several labels.
        micro_usd: None where no price was ever set.
    """

    text: str
    name: str
    is_folded: bool
    seconds: float
    micro_usd: float | None = None


def break_down(seconds: Mapping[str, float], micro_usd: Mapping[str, float] | None = None) -> tuple[LabelCost, ...]:
    """Return rows for what was billed: single labels first, then folded ones, those with the most seconds first.

    Args:
        seconds: By label, as `name=value`. A key without `=` is what the ledger has added up: further values of that
            name, or of any name if it is empty.
        micro_usd: The same labels in money.
    """
    by_name: dict[str, dict[str, float]] = defaultdict(dict)
    for label, amount in seconds.items():
        if amount > 0:
            by_name[label.partition("=")[0]][label] = amount
    rows = [
        LabelCost(
            text,
            name,
            is_folded,
            sum(seconds[label] for label in labels),
            None if micro_usd is None else sum(micro_usd.get(label, 0.0) for label in labels),
        )
        for name, amounts in by_name.items()
        for text, is_folded, labels in _fold(name, amounts)
    ]
    return tuple(sorted(rows, key=lambda row: (row.is_folded, -row.seconds, row.text)))


def _fold(name: str, amounts: Mapping[str, float]) -> Iterator[tuple[str, bool, Iterable[str]]]:
    """Yield for each row of a name its text, whether it is folded, and its labels."""
    known = sorted((label for label in amounts if "=" in label), key=lambda label: (-amounts[label], label))
    singles = sum(amounts[label] <= MAX_BILLED_SECONDS for label in known)
    is_near_unique = len(known) > _MAX_SINGLE_JOBS and singles >= _NEARLY_ALL * len(known)
    shown = [] if is_near_unique else known[:_MAX_VALUES]
    for label in shown:
        yield label, False, [label]
    rest = [label for label in amounts if label not in shown]
    if not rest:
        return
    count = len(known) - len(shown)
    # The ledger does not know how many values it has added up.
    more = "more than " if len(known) < len(amounts) else ""
    if not name:
        yield "other labels", True, rest
    elif not count:
        yield f"{name}: other values", True, rest
    else:
        other = "other " if shown else ""
        yield f"{name}: {more}{counted(count, f'{other}value')}", True, rest
