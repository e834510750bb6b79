"""Which fault comes when, drawn by the seed: every kind once, then some more often than others, some two at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

#: The share of strikes in which two kinds happen at the same time.
_TOGETHER = 0.25


def deal(
    weights: Mapping[str, int], strikes: int, chance: random.Random, first: Sequence[str] = ()
) -> Iterator[set[str]]:
    """Yield the kinds of each strike, one or two.

    Args:
        weights: How often each kind comes, in relation to the others.
        strikes: How many strikes.
        chance: The run's random numbers.
        first: Kinds that come in any case, before the others.
    """
    kinds = sorted(weights)
    each_once = [kind for kind in chance.sample(kinds, len(kinds)) if kind not in first] + list(first)
    for _ in range(strikes):
        kind = each_once.pop() if each_once else chance.choices(kinds, [weights[kind] for kind in kinds])[0]
        yield {kind, chance.choice(kinds)} if chance.random() < _TOGETHER else {kind}
