"""A worker of another Celery app that uses the same Redis database."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from wanimate_devstack import Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "shop@there"
_CODE: Final = """
import sys, time
from celery import Celery
app = Celery("shop", broker=sys.argv[1], backend=sys.argv[1])
@app.task(name="shop.pay")
def pay(): pass
@app.task(name="shop.slow", acks_late=True)
def slow(): time.sleep(60)
app.worker_main(["worker", "--pool=threads", "--concurrency=1", "--hostname=shop@there", "--loglevel=INFO"])
"""


@contextmanager
def worker_of_another_app(url: str, folder: Path) -> Iterator[str]:
    """Run it until the block ends, and yield its name.

    Args:
        url: Of the server.
        folder: Where its log goes.
    """
    process = Process("shop", (sys.executable, "-c", _CODE, url), folder / "shop.log")
    try:
        process.wait_until(lambda: " ready." in process.log_path.read_text(), "ready")
        yield NAME
        assert process.is_running, process.log_tail()
    finally:
        process.stop(timeout_seconds=2)
