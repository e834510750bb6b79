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
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, NewType, ParamSpec, TypeVar, overload

from wanimate.contract import Keys

from .states import allowed_in_lua

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis import Redis
    from redis.commands.core import Script as RegisteredScript
    from wanimate.contract import Outcome

    from .limits import LedgerLimits
    from .values import Observation

    Value = str | int | float

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
}


def bounded(cause: str) -> str:
    """Return a cause as it may stand in a job's history."""
    return cause[:_MAX_CAUSE]


def cause_of(outcome: Outcome, by: str = "") -> str:
    """Return an outcome as the cause in a job's history.

    Args:
        outcome: How the job ended.
        by: What found it out, if not the poll or the vendor's answer.
    """
    return bounded(f"{outcome.error or outcome.kind.value}{f' ({by})' if by else ''}")


def _outcome(outcome: Outcome) -> tuple[Value, ...]:
    return outcome.model_dump_json(exclude_none=True), outcome.kind.value, cause_of(outcome)


def _observation(observed: Observation | None) -> tuple[Value, ...]:
    return ("", "", "", "") if observed is None else observed.arguments()


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an argument of a type is passed: as which values, and how Lua reads each; `{}` stands for the value."""

    encode: Callable[[Any], tuple[Value, ...]]
    reads: tuple[str, ...]
    #: What is put behind the argument's name for each value.
    suffixes: tuple[str, ...] = ("",)


_AS_TEXT = _Kind(lambda value: (value,), ("{}",))
_AS_NUMBER = _Kind(lambda value: ("" if value is None else value,), ("tonumber({})",))
_STORED = _Kind(lambda stored: ("" if stored is None else stored[1],), ("{}",), ("_text",))
_OPTIONAL_TEXT: Final = "{0} ~= '' and string.sub({0}, 2) or nil"
_KINDS: Final[Mapping[str, _Kind]] = {
    "str": _AS_TEXT,
    **dict.fromkeys(("int", "float", "int | None"), _AS_NUMBER),
    "Cause": _Kind(lambda cause: (bounded(cause),), ("{}",)),
    "bool": _Kind(lambda value: ("1" if value else "",), ("{} == '1'",)),
    "str | None": _Kind(lambda value: ("" if value is None else f"={value}",), (_OPTIONAL_TEXT,)),
    "Outcome": _Kind(_outcome, ("{}", "{}", "{}"), ("", "_kind", "_cause")),
    "Observation | None": _Kind(
        _observation,
        ("{0} ~= '' and {0} or nil", "tonumber({})", "{}", "tonumber({})"),
        ("_field", "_completed_ms", "_kind", "_ms"),
    ),
}


class ScriptSource:
    """A script: its file behind those that it uses, and the locals that name its keys and arguments.

    Args:
        name: The name of its file.
        signature: Its arguments.
    """

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        self.name: Final = name
        self._arguments: dict[str, _Kind] = {}
        self._given_keys: list[str] = []
        self._rest, self._rest_keys = "", ""
        self.defaults: dict[str, Any] = {}
        for parameter in list(signature.parameters.values())[1:]:
            if parameter.default is not parameter.empty:
                self.defaults[parameter.name] = parameter.default
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
        self.parameters: Final = list(signature.parameters)[1:]

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
            first = len(self.keys) + 1
            yield f"local job, job_id, {self._rest_keys} = nil, nil, {{unpack(KEYS, {first})}}"
        number = 1
        for name, kind in self._arguments.items():
            for read, suffix in zip(kind.reads, kind.suffixes, strict=True):
                yield f"local {name}{suffix} = {read.format(f'ARGV[{number}]')}"
                number += 1
        for name in self.settings:
            yield f"local {name} = tonumber(ARGV[{number}])"
            number += 1
        if self._rest:
            yield f"local {self._rest} = {{unpack(ARGV, {number})}}"

    def keys_of(self, names: Keys, values: Mapping[str, Any]) -> list[str]:
        """Return the keys of one call.

        Args:
            names: The account's.
            values: The call's arguments.
        """
        found = []
        for name in self.keys:
            if name in self._given_keys:
                if (given := values[name]) is not None:
                    found.append(given[0] if isinstance(given, tuple) else given)
            elif (key_of := _KEYS_OF.get(name)) is not None:
                found.append(key_of(names, values))
            else:
                found.append(getattr(names, name))
        return [*found, *values[self._rest_keys]] if self._rest_keys else found

    def args_of(self, limits: LedgerLimits, values: Mapping[str, Any]) -> list[Value]:
        """Return the arguments of one call.

        Args:
            limits: The numbers of this process.
            values: The call's arguments.
        """
        found: list[Value] = []
        for name, kind in self._arguments.items():
            found += kind.encode(values[name])
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
        account: The vendor account.
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
            source: The script.
            keys: Its keys.
            args: Its arguments.
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
    """A part of the ledger.

    Args:
        context: What all parts share.
    """

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


class BoundScript(Generic[P, R]):
    """A script of one ledger."""

    def __init__(self, script: LedgerScript[P, R], context: Context) -> None:
        self._script = script
        self._context = context

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the script and return what it answers."""
        answer: R = self._script.answer(self._run(None, args, kwargs))
        return answer

    def on(self, pipeline: Redis, *args: P.args, **kwargs: P.kwargs) -> None:
        """Add the call to a pipeline, which then has the answer as the script gives it."""
        self._run(pipeline, args, kwargs)

    def _run(self, client: Redis | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        source, context = self._script.source, self._context
        values = {**source.defaults, **dict(zip(source.parameters, args, strict=False)), **kwargs}
        return context.call(
            source, source.keys_of(context.keys, values), source.args_of(context.limits, values), client
        )


class LedgerScript(Generic[P, R]):
    """A method that runs the script of its name."""

    def __init__(self, stub: Callable[Concatenate[Any, P], R], answer: Callable[[Any], Any]) -> None:
        self.__doc__ = stub.__doc__
        self.source: Final = ScriptSource(stub.__name__.lstrip("_"), inspect.signature(stub))
        SCRIPTS[self.source.name] = self.source
        #: Makes of the script's answer what the method returns.
        self.answer: Final = answer

    @overload
    def __get__(self, concern: None, owner: type) -> LedgerScript[P, R]: ...

    @overload
    def __get__(self, concern: Concern, owner: type) -> BoundScript[P, R]: ...

    def __get__(self, concern: Concern | None, owner: type) -> LedgerScript[P, R] | BoundScript[P, R]:
        """Return the script of one ledger."""
        return self if concern is None else BoundScript(self, concern._context)  # noqa: SLF001 - of this module


#: Every script of the ledger by its name.
SCRIPTS: Final[dict[str, ScriptSource]] = {}


def script(
    answer: Callable[[Any], Any],
) -> Callable[[Callable[Concatenate[Any, P], R]], LedgerScript[P, R]]:
    """Mark a method, which has no body, as the script of its name.

    Args:
        answer: Makes of the script's answer what the method returns.
    """
    return lambda stub: LedgerScript(stub, answer)
