"""Formats text for terminals and logs, and makes text from outside (labels, the vendor's messages) safe to show."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Text that needs no quotation marks in a list of `name=value` pairs.
_PLAIN: Final = re.compile(r"[^\s=\"'\\]+")
#: Bytes that are escaped in file names.
_NOT_IN_NAMES: Final = re.compile(rb"[^A-Za-z0-9_-]")
#: A line break that does not begin an indented line.
_FLUSH_BREAK: Final = re.compile(r"\n(?![ \t])")


def one_line(text: str) -> str:
    r"""Return a text on one line, with unprintable characters as escapes such as `\n` or `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_file_name(text: str) -> str:
    """Return a text as part of a file name, with `=` and two hexadecimal digits for each special byte.

    The result contains no folder, no extension and no number.
    """
    return _NOT_IN_NAMES.sub(lambda found: b"=%02X" % found[0][0], text.encode("utf-8", "surrogatepass")).decode()


def indented_lines(text: str) -> str:
    r"""Return a text whose lines after the first are indented; a line break before any other line becomes `\n`."""
    lines = _FLUSH_BREAK.sub(r"\\n", text).split("\n")
    return "\n".join(one_line(line.replace("\t", "  ")) for line in lines)


def pairs_of(labels: Mapping[str, str], prefix: str = "") -> list[str]:
    """Return labels as `name=value`, quoted where needed."""
    return [f"{prefix}{quoted(name)}={quoted(value)}" for name, value in labels.items()]


def format_duration(milliseconds: int) -> str:
    """Return a duration in its two largest units."""
    seconds = max(0, milliseconds) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds % 60}s" if minutes else f"{seconds}s"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, such as `1 job` or `2 jobs`; `plural` is for irregular nouns."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def quoted(text: str) -> str:
    """Return a text as one word: in quotation marks if it contains spaces or other special characters."""
    return text if _PLAIN.fullmatch(text) and text.isprintable() else one_line(json.dumps(text, ensure_ascii=False))
