"""Which workers there are: what they say of themselves, and whom Redis is connected to.

All Celery apps of a Redis database share its remote control, so an answer may come from another app. And a worker that
does not answer is gone, or frozen: its connections to Redis, which bear its name, end with its process alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from redis.exceptions import ResponseError
from wanimate.contract import POLL_TASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery import Celery
    from redis import Redis

_PREFIX: Final = "wanimate-worker:"
#: How a beat with `--enable-remote-control` answers, which knows our tasks and takes no message.
_BEAT: Final = "celerybeat@"


def is_ours(tasks: Iterable[str]) -> bool:
    """Whether a worker is ours.

    Args:
        tasks: Those it says that it knows; a name may be followed by a rate limit.
    """
    return any(task.partition(" ")[0] == POLL_TASK for task in tasks)


def answering_workers(app: Celery, timeout_seconds: float, names: list[str] | None = None) -> set[str]:
    """Return the names of our workers that answer.

    Args:
        app: The app.
        timeout_seconds: How long they may take.
        names: Those that are asked, which ends the wait when all have answered; all if not given.
    """
    asked = app.control.inspect(names, timeout=timeout_seconds, limit=names and len(names))
    answers: dict[str, list[str]] = asked.registered() or {}
    return {name for name, tasks in answers.items() if not name.startswith(_BEAT) and is_ours(tasks)}


def connected_workers(redis: Redis) -> set[str]:
    """Return the names of our workers that are connected to this database, whether they answer or not.

    Raises:
        ResponseError: The user may not ask that.
    """
    database = str(redis.connection_pool.connection_kwargs.get("db") or 0)
    clients = redis.client_list()
    ours = (client["name"] for client in clients if client["db"] == database)
    return {unquote(name.removeprefix(_PREFIX)) for name in ours if name.startswith(_PREFIX)}


def connecting_as(worker: str) -> Callable[[Any], None]:
    """Return what names each new connection after a worker; redis-py's `redis_connect_func`.

    Args:
        worker: The worker's name.
    """
    name = _PREFIX + quote(worker, safe="@")

    def connect(connection: Any) -> None:
        connection.on_connect()
        # The user may lack the right; then the doctor knows those workers only that answer.
        with suppress(ResponseError):
            connection.send_command("CLIENT", "SETNAME", name)
            connection.read_response()

    return connect
