"""One format for every line that a process writes: ours, Celery's, and other libraries'."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
import structlog
from structlog.stdlib import BoundLogger, filter_by_level
from wanimate.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, Processor

LogFormat = Literal["auto", "json", "console"]

#: Routine lines of these libraries stay out: several for each poll, and some with all of a job's arguments.
ROUTINE: Final = (
    *("httpx", "httpcore", "celery.worker.strategy", "celery.app.trace", "celery.beat", "celery.pool"),
    # Each file of each page that Flower shows.
    "tornado.access",
)


def get_logger(name: str) -> BoundLogger:
    """Return a logger whose lines have fields; they go through the standard library, as those of all others do."""
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[filter_by_level, _hand_over],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def set_up_logs(log_format: LogFormat, level: int | str, file: str | None = None) -> None:
    """Send the lines of every logger of this process to one place, in one format.

    Args:
        log_format: `json` is one object a line, `console` is for people; `auto` is `console` on a terminal.
        level: The least level that is written.
        file: Where to; stderr if not given.
    """
    handler = WatchedFileHandler(file) if file else logging.StreamHandler(sys.stderr)
    is_terminal = not file and sys.stderr.isatty()
    as_json = log_format == "json" or (log_format == "auto" and not is_terminal)
    render: Processor = _as_json if as_json else _for_people(has_colours=is_terminal and not os.environ.get("NO_COLOR"))
    handler.setFormatter(_Lines(render))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ROUTINE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _hand_over(_logger: Any, _method: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    return (event,), {}


class _Lines(logging.Formatter):
    """Makes a line of a record, ours or another library's; nothing in it can begin another line.

    structlog's own `ProcessorFormatter` copies each record first, which is a third of what a line costs.
    """

    def __init__(self, render: Processor) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        facts: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _plain(event.get("event", "")),
            "logger": record.name,
        }
        for name, value in event.items():
            if value is not None and name not in {"event", "exc_info"}:
                facts[name] = _plain(value)
        error = sys.exc_info() if event.get("exc_info") else record.exc_info
        if error:
            facts["exception"] = "\n".join(_indented(self.formatException(error)))
        return str(self._render(None, record.levelname, facts))


def _plain(value: Any) -> Any:
    # `type`, not isinstance: an enum is written as its value.
    return value if type(value) in {int, float, bool} else one_line(str(value))


def _indented(text: str) -> Iterator[str]:
    """Yield the lines of a traceback, each indented: one that an exception's message makes up is seen to be no line."""
    for line in text.splitlines():
        yield f"    {one_line(line)}"


def _as_json(_logger: Any, _method: str, facts: EventDict) -> str:
    return orjson.dumps(facts).decode()


def _for_people(*, has_colours: bool) -> Processor:
    render = structlog.dev.ConsoleRenderer(
        colors=has_colours,
        sort_keys=False,
        # The prettier ones show the values of local variables, which may be secret.
        exception_formatter=structlog.dev.plain_traceback,
    )

    def rendered(logger: Any, method: str, facts: EventDict) -> str:
        del facts["logger"]
        return render(logger, method, facts)

    return rendered
