"""`peers`: the same jobs for everyone. `faults`: the same, with something going wrong in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig import trial
from rig.peers import KINDS, Peer
from rig.wanimate import Wanimate, poll_lease_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rig.contender import Contender
    from rig.load import Load
    from rig.profile import Profile

#: A plain script has nothing to do with Redis.
_WITHOUT_REDIS = {"asyncio script"}
_FAULTS: dict[str, Callable[[Contender], None]] = {
    "kill -9 of a worker": trial.kill_a_worker,
    "Redis restart": trial.restart_redis,
}


def contenders(load: Load) -> Iterator[Contender]:
    """Yield everyone, Wanimate first."""
    for has_callbacks in (True, False):
        yield Wanimate(load, has_callbacks=has_callbacks)
    for kind in KINDS:
        yield Peer(kind, load)


def run_peers(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Give everyone the same jobs, one after the other."""
    rows = []
    for contender in contenders(profile.peers):
        tell(contender.name)
        with contender:
            rows.append(trial.run(contender))
    return rows


def run_faults(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Let each fault happen to everyone once."""
    rows = []
    for what, fault in _FAULTS.items():
        for contender in contenders(profile.faults):
            if fault is trial.restart_redis and contender.name in _WITHOUT_REDIS:
                contender.stop()
                continue
            tell(f"{what}: {contender.name}")
            with contender:
                figures = trial.run(contender, fault=fault, patience_seconds=profile.patience_seconds)
            patience = {
                "patience_seconds": profile.patience_seconds,
                "lease_seconds": poll_lease_seconds(profile.faults),
            }
            rows.append({"fault": what, **patience, **figures})
    return rows
