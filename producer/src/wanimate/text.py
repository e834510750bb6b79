"""Text from outside, such as labels and the vendor's messages, as a terminal or a log may show it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What may be shown as it is where `name=value` pairs stand beside each other.
_PLAIN: Final = re.compile(r"[^\s=\"'\\]+")
#: What a part of a file's name does not hold.
_NOT_IN_NAMES: Final = re.compile(rb"[^A-Za-z0-9_-]")
#: A line break that does not begin an indented line.
_FLUSH_BREAK: Final = re.compile(r"\n(?![ \t])")


def one_line(text: str) -> str:
    r"""Return a text that stays on its line: what is not printable is written as an escape, such as `\n` or `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_file_name(text: str) -> str:
    """Return a text as a part of a file's name: `=` and two hexadecimal digits for each byte that is not plain.

    So it adds no folder, no extension and no number.
    """
    return _NOT_IN_NAMES.sub(lambda found: b"=%02X" % found[0][0], text.encode("utf-8", "surrogatepass")).decode()


def indented_lines(text: str) -> str:
    r"""Return a text of which each further line is indented: a line break that begins no such line becomes `\n`."""
    lines = _FLUSH_BREAK.sub(r"\\n", text).split("\n")
    return "\n".join(one_line(line.replace("\t", "  ")) for line in lines)


def pairs_of(labels: Mapping[str, str], prefix: str = "") -> list[str]:
    """Return labels as `name=value`, quoted where they could be taken for more than one pair."""
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


def quoted(text: str) -> str:
    """Return a text as one word: in quotation marks, unless it is one already."""
    return text if _PLAIN.fullmatch(text) and text.isprintable() else one_line(json.dumps(text, ensure_ascii=False))
