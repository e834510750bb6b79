"""What copies are called: by a template, so that they can be found without asking Wanimate."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from wanimate.text import as_file_name

if TYPE_CHECKING:
    from ..ledger import Keep

#: A longer value is cut, and its digest added: file systems allow 255 bytes for a name.
_MAX_VALUE: Final = 120


def name_of(template: str, keep: Keep, number: int = 1) -> str:
    """Return the name of the copy of a job's video, below the store's URL.

    Args:
        template: `WANIMATE_KEEP_NAME`.
        keep: The job.
        number: Which of its videos, from 1 on; further ones get their number before the extension.
    """
    name = template.format(
        date=datetime.fromtimestamp(keep.rendered_at_ms / 1000, UTC).date().isoformat(),
        job_id=_escaped(keep.job_id),
        task_id=_escaped(keep.outcome.task_id or "none"),
        type=_escaped(str(keep.request.get("type", "none"))),
    )
    if number == 1:
        return name
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{number}{path.suffix}"))


def _escaped(value: str) -> str:
    """Return a value as a part of a name, which is not too long."""
    escaped = as_file_name(value)
    if len(escaped) <= _MAX_VALUE:
        return escaped
    return f"{escaped[: _MAX_VALUE - 40]}=-{hashlib.sha256(escaped.encode()).hexdigest()[:38]}"
