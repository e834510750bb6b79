"""A stack with Flower behind a login, slow enough that jobs can be seen at work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness import stack_settings
from wanimate_devstack import Stack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = "operator:correct-horse-battery"
#: As in a signed URL of an object store; part of the URL of every job.
SIGNED_QUERY = "X-Amz-Signature=5f1d"


@contextmanager
def flower_stack(cap: int, speed: str = "14") -> Iterator[Stack]:
    """Run a stack with one worker and Flower, and check that no process ended by itself."""
    options = StackOptions(
        simulator={"cap": str(cap), "speed": speed},
        settings={**stack_settings(cap), "WANIMATE_FLOWER_AUTH": LOGIN},
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"
