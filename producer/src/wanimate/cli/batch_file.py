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

#: Some editors and exports write it at the start of a file.
_BYTE_ORDER_MARK: Final = "\ufeff"
#: Larger whole numbers lose digits when they are written as decimal numbers.
_MAX_EXACT: Final = 2**53
_WHOLE_NUMBERS: Final = ("seed", "priority", "retry_transient")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file and its job.

    Args:
        number: The line number, from 1.
        job: The job, always with an idempotency key.
        has_own_key: Whether the key comes from the line and is not derived.
    """

    number: int
    job: Job
    has_own_key: bool

    @property
    def name(self) -> str:
        """The name of the line in reports."""
        return f"line {self.number} {','.join(pairs_of(self.job.labels))}".rstrip()


@dataclass(frozen=True, slots=True)
class BatchFile:
    """The content of a file.

    Args:
        lines: The valid lines.
        problems: One message for each invalid line.
        duplicates: One message for each line that repeats an earlier request and would be billed again.
    """

    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


def read_batch(texts: Iterable[str], run: str) -> BatchFile:
    """Read all lines and derive the missing idempotency keys.

    A derived key depends on the request, on the number of equal requests above it and on `run`. It does not depend on
    the file's name, the line number or the labels, so the same file gives the same jobs again.

    Args:
        texts: The lines; empty ones are skipped.
        run: Part of every derived key: a different value gives different jobs.
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
                    f"line {number}: idempotency_key: already used in line {first.number} for a different request"
                )
                continue
        earlier = of_request.setdefault(fingerprint, line)
        # Equal requests with different keys are two jobs on purpose.
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
            'expected one JSON object per line, such as {"type": "animate", "image_url": ..., "video_url": ...}'
        )
    return parse_job(_as_meant(fields))


def _constant(name: str) -> None:
    """Read NaN, which Python writes for a missing number, as None; refuse other constants."""
    if name != "NaN":
        raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("the object has a duplicate name")
    return fields


def _as_meant(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line, corrected for exports of tables: null means missing, 42.0 means 42."""
    given = {name: value for name, value in fields.items() if value is not None or name not in AnimateJob.model_fields}
    for name in _WHOLE_NUMBERS:
        value = given.get(name)
        if isinstance(value, float) and value.is_integer():
            if abs(value) > _MAX_EXACT:
                raise InvalidRequest(
                    f"{name}: a decimal number of this size has lost digits. Write a whole number", field=name
                )
            given[name] = int(value)
    if isinstance(given.get("labels"), dict):
        given["labels"] = {name: value for name, value in given["labels"].items() if value is not None}
    return given
