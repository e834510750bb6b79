"""Tables for people, in Markdown, so that they can be pasted into the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def markdown(heads: Iterable[str], rows: Iterable[Iterable[Any]], *, is_turned: bool = False) -> str:
    """Return a table with its columns aligned; turned, the heads are the first column and each row is a column."""
    lines = [[*heads], *([_cell(each) for each in row] for row in rows)]
    if is_turned:
        lines = [list(line) for line in zip(*lines, strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def number(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _cell(value: Any) -> str:
    if isinstance(value, (int, float)):
        return number(value)
    return "" if value is None else str(value)
