"""The real scripts with the clock of a test: for comparing them with the pure references to the last digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wanimate_worker.ledger.script import SCRIPTS, _declared, _read

if TYPE_CHECKING:
    from wanimate_worker.ledger import Ledger

    from .bench import Bench

_CLOCK: Final = """local function now_us()
  if not moment_us then
    local time = redis.call('TIME')
    moment_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return moment_us
end
"""
_FROZEN: Final = "frozen-clock"
_FROZEN_CLOCK: Final = f"local function now_us()\n  return tonumber(redis.call('GET', '{_FROZEN}'))\nend\n"


def at_us(bench: Bench, now_us: int, **limits: Any) -> Ledger:
    """Return a ledger for which it is this moment (us)."""
    ledger = bench.with_own(**limits)
    ledger._context.text_of = lambda source: _frozen(source.text)  # type: ignore[method-assign]
    bench.redis.set(_FROZEN, now_us)
    return ledger


def _frozen(text: str) -> str:
    assert text.count(_CLOCK) == 1, "the scripts read the clock in another way now"
    return text.replace(_CLOCK, _FROZEN_CLOCK)


def run(bench: Bench, now_us: int, uses: str, body: str) -> Any:
    """Run any Lua on top of an include that uses no setting, at this moment (us)."""
    parts = ["include/time", *(f"include/{part}" for part in (*_declared(f"include/{uses}", "Uses"), uses))]
    keys = [key for part in parts for key in _declared(part, "Keys")]
    header = [f"local {name} = KEYS[{number}]" for number, name in enumerate(keys, 1)]
    text = _frozen("\n".join((*header, *map(_read, parts), body)))
    bench.redis.set(_FROZEN, now_us)
    return bench.redis.eval(text, len(keys), *(getattr(bench.keys, key) for key in keys))


def script_names() -> list[str]:
    return sorted(SCRIPTS)


def include_names() -> list[str]:
    return sorted({part for source in SCRIPTS.values() for part in source.parts if part.startswith("include/")})


def source(name: str) -> str:
    return _read(name)
