"""Our programs on a real terminal, and what is to be seen there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Final

from pictures import IMAGES, pictures_wanted
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_BIN: Final = Path(sys.executable).parent
_ROWS: Final = 50
#: What rich writes besides text and colours: the next line, the line again, the line above, and the cursor.
_MOVES: Final = re.compile(r"(\r?\n|\r|\x1b\[2K|\x1b\[1A|\x1b\[\?25[lh])")
_THEME: Final = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207)],
)
_FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono'"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program has shown.

    Args:
        lines: The lines of the terminal, colours included, when it was looked at: at `until`, or at the end.
        text: All that was written, without colours.
        exit_code: How it ended.
    """

    lines: list[str]
    text: str
    exit_code: int


def on_a_terminal(
    *command: str,
    environment: Mapping[str, str],
    columns: int,
    folder: Path | None = None,
    until: Callable[[str], bool] | None = None,
    within_seconds: float = 90.0,
) -> Seen:
    """Run one of our programs on a terminal.

    Args:
        command: What is typed.
        environment: Variables, besides those of this process that are neither ours nor Celery's.
        columns: The width of the terminal.
        folder: Where it is typed.
        until: Is asked with all that was written; once it says yes, Ctrl-C is typed. If not given, it runs to its end.
        within_seconds: How long it may take.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        kept.pop(name, None)
    ours, theirs = pty.openpty()
    # What a shell runs in the background is born ignoring Ctrl-C, and so would be what we start.
    as_before = signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [str(_BIN / command[0]), *command[1:]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **environment},
        cwd=folder or os.environ.get("TMPDIR", "/tmp"),
    )
    signal.signal(signal.SIGINT, as_before)
    os.close(theirs)
    written, lines = b"", None
    deadline = time.monotonic() + within_seconds
    try:
        while piece := _read(ours, deadline, written):
            written += piece
            if lines is None and until is not None and until(_plain(written)):
                lines = screen_of(written.decode(errors="ignore"))
                process.send_signal(signal.SIGINT)
        exit_code = process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Seen(lines or screen_of(written.decode()), _plain(written), exit_code)


def screen_of(written: str) -> list[str]:
    """Return the lines that a terminal shows after this was written to it; only the moves of rich are understood."""
    lines, row = [""], 0
    for part in _MOVES.split(written):
        match part:
            case "\n" | "\r\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case "\x1b[2K":
                lines[row] = ""
            case "\x1b[1A":
                row = max(0, row - 1)
            case _ if not _MOVES.fullmatch(part):
                lines[row] += part
    return lines


def take_terminal_picture(lines: Sequence[str], name: str, columns: int, title: str, command: str) -> None:
    """Write what is to be seen on a terminal into the docs, if that is wanted.

    Args:
        lines: What is to be seen, colours included.
        name: The file's name, without its ending.
        columns: The width of the terminal.
        title: What the picture says to whom cannot see it.
        command: What was typed.
    """
    if not pictures_wanted():
        return
    console = Console(record=True, width=columns, file=StringIO(), color_system="truecolor", force_terminal=True)
    console.print(Text.assemble(("$", "green"), f" {command}"), highlight=False)
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    for line in lines:
        console.print(Text.from_ansi(line), highlight=False)
    # The frame cuts into what is below the letters of the last line.
    console.print()
    svg = console.export_svg(title=command, theme=_THEME, unique_id=name, code_format=_format(title))
    (IMAGES / f"{name}.svg").write_text("\n".join(map(str.rstrip, svg.splitlines())) + "\n")


def _format(title: str) -> str:
    """Return rich's own frame with a title, and with fonts that are there: a picture fetches nothing."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    plain = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    plain = re.sub(r"<!--.*?-->", f"<title>{title}</title>", plain).replace("Fira Code", _FONTS)
    return plain.replace("font-family: arial", "font-family: system-ui, Helvetica, Arial, sans-serif")


def _plain(written: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode(errors="ignore"))


def _read(descriptor: int, deadline: float, before: bytes) -> bytes:
    """Return what was written; empty at the end."""
    ready, _, _ = select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    assert ready, f"its time is up, and it does not end; at last it wrote {_plain(before)[-2000:]!r}"
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux ends a terminal whose other side is closed with an error
        return b""
