"""The trace of a job: the spans of its phases, each made by the process that sees the phase end.

A phase begins in one process and ends in another, so its span is made at its end, with the times that the ledger knows.
All of them are children of the span that records the job, whose context is kept with the job's message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wanimate.contract import Outcome

    from ..ledger import Deliver, JobFields, Submit
    from ..vendor import Exchange


class Tracing:
    """Makes no spans; `Spans` does. What they show is an id, a name, a number or a time, never a URL or a prompt.

    The trace of a caller travels with its jobs either way, for workers that make some.
    """

    def record(self, message: dict[str, Any], job_id: str, request: Mapping[str, Any]) -> Callable[[], None]:  # noqa: ARG002
        """Begin the span of a job that is being recorded; return what ends it, for a job that was not known.

        Args:
            message: What is kept of the job's message; the span's context is added to its headers.
            job_id: The job.
            request: Its arguments, checked; the type and the resolution are shown.
        """
        return nothing

    def submitted(
        self, headers: Mapping[str, Any] | None, job_id: str, step: Submit, answer: object, exchange: Exchange
    ) -> None:
        """Make the spans of a submission, and of the wait before the first one."""

    def ran(self, job: JobFields, outcome: Outcome, exchange: Exchange) -> None:
        """Make the span of the time that the vendor had a task, and of the request that found its end."""

    def delivered(self, headers: Mapping[str, Any] | None, job_id: str, step: Deliver, begun_at_ns: int) -> None:
        """Make the span of a delivery (`begun_at_ns`: Unix time), and of the wait of a job that was not submitted."""


def nothing() -> None:
    """End a span that was not made."""
