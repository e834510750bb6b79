"""`peers`: the same jobs for everyone. `limits`: the vendor's own limits. `faults`: something goes wrong midway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rig import trial
from rig.peers import KINDS, Peer
from rig.wanimate import Wanimate, poll_lease_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.contender import Contender
    from rig.load import Load
    from rig.profile import Profile

#: How often each slot is used at the vendor's limits.
_TURNS = 4
#: A plain script has nothing to do with Redis.
_WITHOUT_REDIS = {"asyncio script"}
_FAULTS: dict[str, Callable[[Contender], None]] = {
    "kill -9 of a worker": trial.kill_a_worker,
    "Redis restart": trial.restart_redis,
}


def makers(load: Load) -> dict[str, Callable[[], Contender]]:
    """Return what makes each contender, Wanimate first."""
    own = {
        f"Wanimate, {way}": partial(Wanimate, load, has_callbacks=has_callbacks)
        for way, has_callbacks in (("callbacks", True), ("polling", False))
    }
    return {**own, **{kind.name: partial(Peer, kind, load) for kind in KINDS}}


def run_peers(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Give everyone the same jobs, one after the other."""
    return _in_turn(makers(profile.peers), tell)


def run_limits(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Let everyone who polls meet the vendor's own limits, one after the other."""
    load = replace(profile.scale, jobs=_TURNS * profile.scale.cap)
    return _in_turn({name: make for name, make in makers(load).items() if name != "Wanimate, callbacks"}, tell)


def _in_turn(contenders: dict[str, Callable[[], Contender]], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    for name, make in contenders.items():
        tell(name)
        with make() as contender:
            rows.append(trial.run(contender))
    return rows


def run_faults(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Let each fault happen to everyone once."""
    patience = {
        "patience_seconds": profile.patience_seconds,
        "lease_seconds": poll_lease_seconds(profile.faults),
    }

    def meet(what: str, name: str, make: Callable[[], Contender]) -> dict[str, Any]:
        tell(f"{what}: {name}")
        with make() as contender:
            figures = trial.run(contender, fault=_FAULTS[what], patience_seconds=profile.patience_seconds)
        return {"fault": what, **patience, **figures}

    with ThreadPoolExecutor(profile.faults_at_once) as threads:
        trials = [
            threads.submit(meet, what, name, make)
            for what, fault in _FAULTS.items()
            for name, make in makers(profile.faults).items()
            if fault is not trial.restart_redis or name not in _WITHOUT_REDIS
        ]
        return [each.result() for each in trials]
