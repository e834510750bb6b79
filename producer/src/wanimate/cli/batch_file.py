"""Reads a file of jobs, one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..contract import AnimateJob, parse_job
from ..errors import InvalidRequest
from ..text import pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..contract import Job

#: Some editors and exports begin a file with it; it is no part of the first line.
_BYTE_ORDER_MARK: Final = "\ufeff"
#: Beyond it, a decimal number does not say which whole number it was.
_MAX_EXACT: Final = 2**53
_WHOLE_NUMBERS: Final = ("seed", "priority", "retry_transient")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file and its job, which always has an idempotency key.

    Args:
        number: Its number in the file.
        job: The job.
        has_own_key: Whether the line itself has the key.
    """

    number: int
    job: Job
    has_own_key: bool

    @property
    def name(self) -> str:
        """What a report calls it."""
        return f"line {self.number} {','.join(pairs_of(self.job.labels))}".rstrip()


@dataclass(frozen=True, slots=True)
class BatchFile:
    """What a file holds.

    Args:
        lines: The jobs.
        problems: What is wrong with the lines that hold none, one text each.
        duplicates: Which lines repeat the request of an earlier one and would be billed again, one text each.
    """

    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


def read_batch(texts: Iterable[str], run: str) -> BatchFile:
    """Read all lines and give each job without an idempotency key one that is derived from its request.

    The key depends on the request, on how often the same request occurred above it and on `run`, not on the file's
    name, the line's number or its labels: the same file, sent again, gives the same jobs.

    Args:
        texts: The lines; empty ones are skipped.
        run: Part of every derived key: another run is other jobs.
    """
    content = BatchFile()
    occurrences: Counter[str] = Counter()
    of_request: dict[str, Line] = {}
    of_key: dict[str, Line] = {}
    for number, text in enumerate(texts, start=1):
        bare = text.strip().strip(_BYTE_ORDER_MARK).strip()
        if not bare:
            continue
        try:
            job = _read_line(bare)
        except InvalidRequest as error:
            content.problems.append(f"line {number}: {error.message}")
            continue
        fingerprint = job.fingerprint()
        if job.idempotency_key is None:
            occurrences[fingerprint] += 1
            key = f"batch:{run}:{fingerprint}:{occurrences[fingerprint]}"
            line = Line(number, job.model_copy(update={"idempotency_key": key}), has_own_key=False)
        else:
            line = Line(number, job, has_own_key=True)
            first = of_key.setdefault(job.idempotency_key, line)
            if first.job.fingerprint() != fingerprint:
                content.problems.append(
                    f"line {number}: idempotency_key: line {first.number} uses this key for a different request"
                )
                continue
        earlier = of_request.setdefault(fingerprint, line)
        # Two equal requests that have a key of their own each are meant to be two jobs.
        if earlier is not line and not (earlier.has_own_key and line.has_own_key):
            content.duplicates.append(f"line {number} repeats line {earlier.number}")
        content.lines.append(line)
    return content


def _read_line(text: str) -> Job:
    try:
        fields = json.loads(text, parse_constant=_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest(
            'one object a line is expected, such as {"type": "animate", "image_url": ..., "video_url": ...}'
        )
    return parse_job(_as_meant(fields))


def _constant(name: str) -> None:
    """Read the NaN that Python writes for a missing figure; no other constant is JSON either."""
    if name != "NaN":
        raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return fields


def _as_meant(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line without what tables write: null for what is not there, 42.0 for 42."""
    given = {name: value for name, value in fields.items() if value is not None or name not in AnimateJob.model_fields}
    for name in _WHOLE_NUMBERS:
        value = given.get(name)
        if isinstance(value, float) and value.is_integer():
            if abs(value) > _MAX_EXACT:
                raise InvalidRequest(
                    f"{name}: as a decimal number it has lost digits: write a whole number", field=name
                )
            given[name] = int(value)
    if isinstance(given.get("labels"), dict):
        given["labels"] = {name: value for name, value in given["labels"].items() if value is not None}
    return given
