"""Wanimate's workers: `celery -A wanimate_worker worker`, `beat` and `flower`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["celery"]


def __getattr__(name: str) -> Any:
    """Make the Celery app when it is asked for: importing a module of this package must not read the environment.

    `celery -A wanimate_worker` looks for `celery` (Celery documentation, "Using Celery in your application").
    """
    if name == "celery":
        return _app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _app() -> Celery:
    from .bridge.process import load_app

    globals()["celery"] = app = load_app()
    return app
