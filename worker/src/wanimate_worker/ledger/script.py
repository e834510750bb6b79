"""Lua scripts as typed methods.

The signature of a method that is marked as a script names the script's arguments: each becomes a local of the same name
in Lua, and its annotation says how it is passed. The file says in `-- Keys:` which keys it touches, in `-- Settings:`
which numbers of `LedgerLimits` it reads, and in `-- Uses:` which files of `lua/include` stand before it; these say the
same of themselves. So a script is sent with what it uses, and its callers pass neither keys nor settings.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Concatenate, Final, NewType, ParamSpec, TypeVar, cast

from wanimate.contract import Keys

from .states import allowed_in_lua

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis import Redis
    from redis.commands.core import Script as RegisteredScript
    from wanimate.contract import Outcome

    from .limits import LedgerLimits

    Value = str | int | float

C = TypeVar("C", bound="Concern")
P = ParamSpec("P")
R = TypeVar("R")

#: A key that the caller names. None, which only the last one may be, leaves its local nil.
Key = NewType("Key", str)
#: A key that the caller names, and what is stored there, the local with `_text` behind its name. None passes no key.
Stored = tuple[str, str]
#: Why something happened, as a job's history has it; it is cut.
Cause = str

_LUA: Final = files("wanimate_worker.ledger") / "lua"
#: Longer causes are cut in a job's history, in characters.
_MAX_CAUSE: Final = 120
#: Keys that are made from an argument; all others are names of the account.
_KEYS_OF: Final[Mapping[str, Callable[[Keys, Mapping[str, Any]], str]]] = {
    "job": lambda names, values: names.job(values["job_id"]),
    "request": lambda names, values: names.idempotency(values["job_id"]),
    "leader": lambda names, values: names.job(values["leader_id"]),
    "followers": lambda names, values: names.followers(values.get("leader_id", values["job_id"])),
    "endpoint": lambda names, values: names.endpoint(values["endpoint_name"]),
    "sending": lambda names, values: names.sending(values["endpoint_name"]),
}


def bounded(cause: str) -> str:
    """Return a cause as it may stand in a job's history."""
    return cause[:_MAX_CAUSE]


def cause_of(outcome: Outcome, by: str = "") -> str:
    """Return an outcome as the cause in a job's history.

    Args:
        by: What found it out, if not the poll or the vendor's answer.
    """
    return bounded(f"{outcome.error or outcome.kind.value}{f' ({by})' if by else ''}")


def _expiry_ms(outcome: Outcome) -> Value:
    """Return when the vendor stops serving the URLs of a result, in Unix ms; empty where that is not known."""
    expiry = outcome.result.urls_expire_at if outcome.result else None
    return "" if expiry is None else round(expiry.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an argument of a type is passed.

    Args:
        encode: Makes the values of it.
        reads: How Lua reads each; `{}` stands for the value. The key is what its local has behind the argument's name.
    """

    encode: Callable[[Any], Sequence[Value]]
    reads: Mapping[str, str]


_OPTIONAL: Final = "{0} ~= '' and {0} or nil"
_AS_NUMBER: Final = _Kind(lambda value: ("" if value is None else value,), {"": "tonumber({})"})
_STORED: Final = _Kind(lambda stored: ("" if stored is None else stored[1],), {"_text": "{}"})
_KINDS: Final[Mapping[str, _Kind]] = {
    "str": _Kind(lambda text: (text,), {"": "{}"}),
    "Cause": _Kind(lambda cause: (bounded(cause),), {"": "{}"}),
    "bool": _Kind(lambda value: ("1" if value else "",), {"": "{} == '1'"}),
    **dict.fromkeys(("int", "float", "int | None"), _AS_NUMBER),
    "str | None": _Kind(
        lambda text: ("" if text is None else f"={text}",), {"": "{0} ~= '' and string.sub({0}, 2) or nil"}
    ),
    "Outcome": _Kind(
        lambda outcome: (
            outcome.model_dump_json(exclude_none=True),
            outcome.kind.value,
            cause_of(outcome),
            _expiry_ms(outcome),
        ),
        {"": "{}", "_kind": "{}", "_cause": "{}", "_expires_ms": "tonumber({})"},
    ),
    "Observation | None": _Kind(
        lambda observed: ("", "", "", "") if observed is None else observed.arguments(),
        {"_field": _OPTIONAL, "_completed_ms": "tonumber({})", "_kind": "{}", "_ms": "tonumber({})"},
    ),
}


class ScriptSource:
    """A script: its file behind those that it uses, and the locals that name its keys and arguments."""

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        self.name: Final = name
        parameters = list(signature.parameters.values())[1:]
        self._names: Final = [each.name for each in parameters]
        self._defaults: Final = {each.name: each.default for each in parameters if each.default is not each.empty}
        self._arguments: dict[str, _Kind] = {}
        self._given_keys: list[str] = []
        self._rest, self._rest_keys = "", ""
        for parameter in parameters:
            match parameter.annotation:
                case "Key | None":
                    self._given_keys.append(parameter.name)
                case "Stored | None":
                    self._given_keys.append(parameter.name)
                    self._arguments[parameter.name] = _STORED
                case "Sequence[Key]":
                    self._rest_keys = parameter.name
                case kind if kind in _KINDS:
                    self._arguments[parameter.name] = _KINDS[kind]
                case kind if kind.startswith("Sequence"):
                    self._rest = parameter.name
                case kind:
                    raise TypeError(f"{name}.{parameter.name}: no script takes {kind}")

    @cached_property
    def parts(self) -> list[str]:
        """The files it is made of, in their order; its own is the last."""
        found: list[str] = []

        def add(part: str) -> None:
            for used in _declared(part, "Uses"):
                add(f"include/{used}")
            if part not in found:
                found.append(part)

        add("include/time")
        add(self.name)
        return found

    @cached_property
    def keys(self) -> list[str]:
        """The names of the keys it touches; those that the caller gives come last."""
        declared = {key: None for part in self.parts for key in _declared(part, "Keys")}
        own = [key for key in declared if key not in self._given_keys and not (self._rest_keys and key == "job")]
        return [*own, *self._given_keys]

    @cached_property
    def settings(self) -> list[str]:
        """The numbers of `LedgerLimits` that it reads."""
        return list({name: None for part in self.parts for name in _declared(part, "Settings")})

    @cached_property
    def text(self) -> str:
        """What is sent to Redis."""
        return "\n".join((*self.header(), allowed_in_lua(self.name), *map(_read, self.parts)))

    def header(self) -> Iterator[str]:
        """Return the locals that name its keys, arguments and settings."""
        for number, name in enumerate(self.keys, 1):
            yield f"local {name} = KEYS[{number}]"
        if self._rest_keys:
            yield f"local job, job_id, {self._rest_keys} = nil, nil, {{unpack(KEYS, {len(self.keys) + 1})}}"
        reads = [
            *((f"{name}{end}", read) for name, kind in self._arguments.items() for end, read in kind.reads.items()),
            *((name, "tonumber({})") for name in self.settings),
        ]
        for number, (name, read) in enumerate(reads, 1):
            yield f"local {name} = {read.format(f'ARGV[{number}]')}"
        if self._rest:
            yield f"local {self._rest} = {{unpack(ARGV, {len(reads) + 1})}}"

    def values_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of one call by name."""
        return {**self._defaults, **dict(zip(self._names, args, strict=False)), **kwargs}

    def keys_of(self, names: Keys, values: Mapping[str, Any]) -> list[str]:
        """Return the keys of one call."""
        found = []
        for name in self.keys:
            if name in self._given_keys:
                if (given := values[name]) is not None:
                    found.append(given[0] if isinstance(given, tuple) else given)
            else:
                found.append(_KEYS_OF[name](names, values) if name in _KEYS_OF else getattr(names, name))
        return [*found, *values[self._rest_keys]] if self._rest_keys else found

    def args_of(self, limits: LedgerLimits, values: Mapping[str, Any]) -> list[Value]:
        """Return the arguments of one call as Redis gets them."""
        found = [value for name, kind in self._arguments.items() for value in kind.encode(values[name])]
        found += (getattr(limits, name) for name in self.settings)
        return [*found, *values[self._rest]] if self._rest else found


@cache
def _read(part: str) -> str:
    return (_LUA / f"{part}.lua").read_text()


def _declared(part: str, label: str) -> list[str]:
    found = re.search(rf"^-- {label}: (.*)$", _read(part), re.MULTILINE)
    return found.group(1).split(", ") if found else []


class Context:
    """What all parts of the ledger of one account share: the connection, the scripts, the keys and the numbers.

    redis-py sends `EVALSHA` and loads a script again when the server has lost it (a restart, a fail-over).

    Args:
        redis: A connection that decodes responses to `str`.
        limits: This process's leases.
    """

    def __init__(self, redis: Redis, account: str, limits: LedgerLimits) -> None:
        self.redis = redis
        self.account: Final = account
        self.keys: Final = Keys(account)
        self.limits: Final = limits
        self._registered: dict[str, RegisteredScript] = {}

    def call(
        self, source: ScriptSource, keys: Sequence[str], args: Sequence[Value], client: Redis | None = None
    ) -> Any:
        """Run a script and return its answer, or add it to a pipeline.

        Args:
            client: A pipeline; else it runs now.
        """
        script = self._registered.get(source.name)
        if script is None:
            script = self._registered[source.name] = self.redis.register_script(self.text_of(source))
        return script(keys=keys, args=args, client=client)

    def text_of(self, source: ScriptSource) -> str:
        """Return what is sent of a script."""
        return source.text


class Concern:
    """A part of the ledger."""

    def __init__(self, context: Context) -> None:
        self._context: Final = context

    @property
    def _redis(self) -> Redis:
        return self._context.redis

    @property
    def _keys(self) -> Keys:
        return self._context.keys

    @property
    def _limits(self) -> LedgerLimits:
        return self._context.limits

    def _now_ms(self) -> int:
        """Return the server's time, Unix ms."""
        seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _field_of(self, job_ids: Sequence[str], name: str) -> list[str | None]:
        """Return one field of jobs, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(self._keys.job(job_id), name)
            return cast("list[str | None]", pipeline.execute())

    def _run(
        self, source: ScriptSource, args: Sequence[Any], kwargs: Mapping[str, Any], pipeline: Redis | None = None
    ) -> Any:
        """Run a script and return its answer as it is, or add it to a pipeline."""
        values = source.values_of(args, kwargs)
        keys, arguments = source.keys_of(self._keys, values), source.args_of(self._limits, values)
        return self._context.call(source, keys, arguments, pipeline)


#: Every script of the ledger by its name.
SCRIPTS: Final[dict[str, ScriptSource]] = {}


def script(
    answer: Callable[[Any], Any] = lambda answer: answer,
) -> Callable[[Callable[Concatenate[C, P], R]], Callable[Concatenate[C, P], R]]:
    """Mark a method of a concern, which has no body, as the script of its name.

    Args:
        answer: Makes of the script's answer what the method returns.
    """

    def mark(stub: Callable[Concatenate[C, P], R]) -> Callable[Concatenate[C, P], R]:
        name = stub.__name__.lstrip("_")
        source = SCRIPTS[name] = ScriptSource(name, inspect.signature(stub))

        @wraps(stub)
        def run(concern: C, *args: P.args, **kwargs: P.kwargs) -> R:
            return cast("R", answer(concern._run(source, args, kwargs)))  # noqa: SLF001 - of this module

        return cast("Callable[Concatenate[C, P], R]", run)

    return mark
