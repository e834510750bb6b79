"""The limits of the vendor's plans. Source: the vendor's API overview; the default, its page of this model."""

from types import MappingProxyType
from typing import NamedTuple


class Plan(NamedTuple):
    """What a key of a plan may use.

    Args:
        cap: tasks in flight at once.
        rate: requests a minute.
    """

    cap: int
    rate: int


#: Enterprise limits are by contract; these stand for one.
PLANS = MappingProxyType(
    {
        "free": Plan(3, 10),
        "pro": Plan(10, 60),
        "enterprise": Plan(100, 1000),
        "default": Plan(1000, 10_000),
    }
)
