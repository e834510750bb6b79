"""Whether an error means that Redis is away: the one place that decides between waiting and refusing.

What waits comes back when Redis does. Everything else is about what was asked, and asking again would not change it.
"""

from __future__ import annotations

import re
from typing import Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

#: Redis does not answer, or it refuses for now what it would accept later.
_AWAY: Final = (
    ConnectionError,
    TimeoutError,
    RedisConnectionError,
    RedisTimeoutError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    TryAgainError,
    AskError,
    # The rights of the user, who may do everything at another time.
    NoPermissionError,
)
#: Such refusals for which redis-py has no class, and how Redis 6 wraps any of them if a script met it.
_REFUSAL: Final = re.compile(
    r"(?:ERR )?(?:Error running script .*?@user_script: ?\d+: -?)?"
    r"(?:READONLY|NOREPLICAS|OOM|LOADING|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNKILLABLE|UNBLOCKED|NOPERM)\b"
)
#: What redis-py puts before the server's words when the command was one of several; it quotes the command.
_OF_A_PIPELINE: Final = " of pipeline caused error: "


def is_away(error: BaseException) -> bool:
    """Return whether an error says that Redis cannot be used now, and nothing about what it was asked.

    Args:
        error: What a call to Redis raised.
    """
    if isinstance(error, _AWAY):
        return True
    if not isinstance(error, RedisError | ResponseError):
        return False
    return _REFUSAL.match(str(error).rpartition(_OF_A_PIPELINE)[2]) is not None
