"""The state table: every step that a job may take, and its script. The scripts and the documentation follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Before a job has a record, and after it.
NONE: Final = ""
#: Not stored: the record says `waiting`, and the job is in `slots`.
ADMITTED: Final = "admitted"


class Step(NamedTuple):
    """One step that a job may take.

    Args:
        source: The stage it leaves.
        target: The stage it comes to.
        script: The script that takes it.
        note: When.
    """

    source: str
    target: str
    script: str
    note: str = ""


STEPS: Final = (
    Step(NONE, "waiting", "admit"),
    Step(NONE, "following", "follow"),
    Step(NONE, "settled", "cancel", "before its message was read"),
    Step("following", "settled", "conclude"),
    Step("following", "settled", "follow", "the outcome is known"),
    Step("waiting", ADMITTED, "grant"),
    Step(ADMITTED, "submitting", "begin"),
    Step(ADMITTED, "waiting", "begin", "gate closed or paused"),
    Step("submitting", "running", "accept"),
    Step("submitting", "waiting", "release"),
    Step("submitting", "waiting", "refuse", "parked"),
    Step("running", "waiting", "release", "its task failed"),
    Step("submitting", "unknown", "mark_unknown"),
    Step("submitting", "settled", "settle", "rejected"),
    Step("unknown", "running", "accept"),
    Step("unknown", "waiting", "release", "resubmit"),
    Step("unknown", "settled", "settle", "SubmissionUnknown"),
    Step("running", "settled", "settle"),
    Step("running", "keeping", "settle", "its video is kept"),
    Step("keeping", "settled", "finish_keep"),
    Step("waiting", "settled", "cancel"),
    Step(ADMITTED, "settled", "cancel"),
    Step("waiting", "settled", "expire", "DeadlineExceeded"),
    Step(ADMITTED, "settled", "expire", "DeadlineExceeded"),
    Step("settled", "delivered", "mark_delivered"),
    Step("settled", "delivered", "settle", "no callbacks"),
    Step("delivered", "waiting", "retry", "failed"),
    Step("delivered", "running", "attach_task", "failed"),
    Step("delivered", "settled", "replace_outcome", "failed"),
    Step("delivered", "keeping", "replace_outcome", "failed, its video is kept"),
)


def allowed_in_lua(script: str) -> str:
    """Return the steps of one script as a Lua table: stored stage, then the stages it may come to."""
    allowed: dict[str, set[str]] = {}
    for step in STEPS:
        source = "waiting" if step.source == ADMITTED else step.source
        if step.script == script and step.target not in {source, ADMITTED}:
            allowed.setdefault(source, set()).add(step.target)
    rows = (
        f"[{source!r}] = {{{', '.join(f'{target} = true' for target in sorted(targets))}}}"
        for source, targets in allowed.items()
    )
    return f"local TRANSITIONS = {{{', '.join(rows)}}}"


def diagram() -> str:
    """Return the state table as a Mermaid diagram."""
    return "\n".join(("stateDiagram-v2", *_arrows()))


def _arrows() -> Iterator[str]:
    for step in STEPS:
        note = f" ({step.note})" if step.note else ""
        yield f"  {step.source or '[*]'} --> {step.target}: {step.script}{note}"
    yield "  delivered --> [*]: expires"
