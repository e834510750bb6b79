"""Exit codes of the operator's commands, and how an error becomes one line and a code."""

from __future__ import annotations

from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from wanimate.errors import WanimateError
from wanimate.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_CODES: Final = """\b
Exit codes:
  0    everything asked for is done, now or before
  1    something could not be done as things stand; the lines say what and why
  2    wrong usage or settings; nothing was changed
  3    Redis or the vendor could not be reached
  4    the time-out passed first
  130  interrupted
"""


class Exit(IntEnum):
    """The exit codes; see `EXIT_CODES`."""

    OK = 0
    REFUSED = 1
    INVALID = 2
    UNAVAILABLE = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn an error that a person can do something about into one line and an exit code, never a traceback."""
    try:
        yield
    except WanimateError as error:
        click.echo(f"wanimate-worker: {one_line(str(error))}", err=True)
        raise SystemExit(Exit.INVALID) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough: `jobs | head`.
        raise SystemExit(Exit.OK) from None
    except (RedisError, KombuError, ConnectionError) as error:
        reason = one_line(" ".join(str(error).split())) or type(error).__name__
        click.echo(f"wanimate-worker: Redis is not available ({reason}): check WANIMATE_REDIS_URL", err=True)
        raise SystemExit(Exit.UNAVAILABLE) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None
