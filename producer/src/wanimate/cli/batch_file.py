"""Reads a file of jobs, one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contract import parse_job
from ..errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..contract import Job


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file and its job, which always has an idempotency key."""

    number: int
    job: Job

    @property
    def name(self) -> str:
        """What a report calls it."""
        labels = ",".join(f"{name}={value}" for name, value in self.job.labels.items())
        return f"line {self.number} {labels}".rstrip()


@dataclass(frozen=True, slots=True)
class BatchFile:
    """The jobs of a file, and what is wrong with the lines that hold none."""

    lines: list[Line]
    problems: list[str]


def read_batch(texts: Iterable[str], run: str) -> BatchFile:
    """Read all lines and give each job without an idempotency key one that is derived from its request.

    The key depends on the request, on how often the same request occurred above it and on `run`, not on the file's
    name, the line's number or its labels: the same file, sent again, gives the same jobs.

    Args:
        texts: The lines; empty ones are skipped.
        run: Part of every derived key: another run is other jobs.
    """
    lines: list[Line] = []
    problems: list[str] = []
    occurrences: Counter[str] = Counter()
    first_use: dict[str, Line] = {}
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            job = _read_line(text)
        except InvalidRequest as error:
            problems.append(f"line {number}: {error.message}")
            continue
        fingerprint = job.fingerprint()
        if job.idempotency_key is None:
            occurrences[fingerprint] += 1
            key = f"batch:{run}:{fingerprint}:{occurrences[fingerprint]}"
            line = Line(number, job.model_copy(update={"idempotency_key": key}))
        else:
            line = Line(number, job)
            first = first_use.setdefault(job.idempotency_key, line)
            if first.job.fingerprint() != fingerprint:
                problems.append(
                    f"line {number}: idempotency_key: line {first.number} uses this key for a different request"
                )
                continue
        lines.append(line)
    return BatchFile(lines, problems)


def _read_line(text: str) -> Job:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest('an object is expected, such as {"type": "animate", "image_url": ..., "video_url": ...}')
    return parse_job(fields)
