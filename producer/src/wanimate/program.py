"""What `wanimate` and `wanimate-worker` have in common as programs of a terminal."""

from __future__ import annotations

import io
import math
import sys
from typing import Any, Final

import click

from .text import indented_lines


class Seconds(click.FloatRange):
    """A number of seconds that ends: neither `nan` nor `inf`, which pass click's own comparisons."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read an option; click calls this."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"a number of seconds is expected, got {seconds:g}; leave it out for no bound", param, ctx)
        return seconds


#: What is given to `--timeout` everywhere.
SECONDS: Final = Seconds(min=0)


class Program(click.Group):
    """A group of commands that writes to any terminal.

    A character that the encoding of stdout or stderr does not have is written as an escape instead of ending the
    command, and a message about wrong usage repeats an argument without its control characters.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; click calls this."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; click calls this."""
        try:
            return super().invoke(context)
        except click.ClickException as error:
            error.message = indented_lines(error.message)  # type: ignore[misc] # final only since click 8.2
            raise
