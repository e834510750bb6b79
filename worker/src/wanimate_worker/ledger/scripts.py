"""The one place where Lua scripts are loaded and registered."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis


#: What every script can use, in this order.
PRELUDE: Final = ("prelude", "money")


class Script(Protocol):
    """A registered script: called with its keys and arguments, it answers what its header says."""

    def __call__(self, keys: Sequence[str], args: Sequence[str | int | float], client: Redis | None = None) -> Any: ...


class Scripts:
    """Every script of the ledger, as an attribute by the name of its file.

    redis-py sends `EVALSHA` and loads a script again when the server has lost it (a restart, a fail-over).

    Args:
        redis: The connection the scripts run on.
    """

    def __init__(self, redis: Redis) -> None:
        folder = files("wanimate_worker.ledger") / "lua"
        sources = {entry.name.removesuffix(".lua"): entry.read_text() for entry in folder.iterdir()}
        prelude = "\n".join(sources.pop(part) for part in PRELUDE)
        self._scripts: dict[str, Script] = {
            name: redis.register_script(f"{prelude}\n{source}") for name, source in sources.items()
        }

    def __getattr__(self, name: str) -> Script:
        try:
            return self._scripts[name]
        except KeyError:
            raise AttributeError(f"the ledger has no script {name!r}") from None
