"""`commands`: what a job makes Redis do, sent by clients and made of it by scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig import trial
from rig.monitor import Monitor
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from rig.profile import Profile

#: So many of the most frequent commands are named.
_NAMED = 8


def run_commands(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run with a server that tells of each command."""
    rows = []
    for has_callbacks in (True, False):
        contender = Wanimate(profile.workers, has_callbacks=has_callbacks)
        tell(contender.name)
        with contender, Monitor(contender.redis_url) as monitor:
            figures = trial.run(contender)
        jobs = figures["jobs"]
        rows.append(
            {
                "contender": contender.name,
                "jobs": jobs,
                "sent_per_job": monitor.sent.total() / jobs,
                "in_scripts_per_job": monitor.in_scripts.total() / jobs,
                "most_sent": _most(monitor.sent, jobs),
                "most_in_scripts": _most(monitor.in_scripts, jobs),
            }
        )
    return rows


def _most(counts: Counter[str], jobs: int) -> str:
    return ", ".join(f"{name} {count / jobs:.1f}" for name, count in counts.most_common(_NAMED))
