"""`wanimate-worker doctor`: whether everything is as it must be."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click
from wanimate.text import one_line

from .exits import reported_errors
from .session import open_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..doctor import Finding

EXIT_CODES: Final = """\b
Exit codes:
  0    all is well
  1    warnings
  2    failures, or wrong settings
"""
_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


class Health(IntEnum):
    """The exit codes; see `EXIT_CODES`."""

    OK = 0
    WARNINGS = 1
    FAILURES = 2


@click.command(epilog=EXIT_CODES)
@click.option("--no-vendor", is_flag=True, help="Send the vendor no request.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
def doctor(*, no_vendor: bool, as_json: bool) -> None:
    """Check Redis, settings, the vendor's key, queues, workers, beat and the ledger; say what to do about each."""
    found = []
    with reported_errors():
        for finding in _findings(asks_vendor=not no_vendor):
            found.append(finding.level.value)
            _show(finding, as_json=as_json)
    raise SystemExit(Health.FAILURES if "fail" in found else Health.WARNINGS if "warn" in found else Health.OK)


def _findings(*, asks_vendor: bool) -> Iterator[Finding]:
    from redis.exceptions import RedisError
    from wanimate.errors import SettingsError

    from .. import doctor as checks
    from ..doctor.finding import fail

    runtime, redis = open_runtime()
    settings, ledger = runtime.settings, runtime.ledger
    server = list(checks.check_server(redis))
    yield from server
    yield from checks.check_transport(runtime.app)
    yield from checks.check_callbacks(settings)
    yield from checks.check_results(settings)
    if asks_vendor:
        yield from checks.check_vendor(runtime)
    if len(server) == 1 and server[0].level is checks.Level.FAIL:
        # Without Redis there is nothing more to see.
        return
    try:
        ledger.check_database()
        yield from checks.check_binding(ledger, settings)
        limits = ledger.account_limits()
        yield from checks.check_limits(settings, limits)
        yield from checks.check_balance(runtime, limits, asks_vendor=asks_vendor)
        yield from checks.check_replicas(redis, settings)
        yield from checks.check_queues(runtime.app, redis)
        yield from checks.check_unread(runtime.app, redis)
        yield from checks.check_workers(runtime.app, ledger, redis, settings)
        yield from checks.check_ledger(ledger, redis, settings)
    except SettingsError as error:
        yield fail("account", str(error), "nothing else here was looked at: the jobs in it are another account's")
    except RedisError as error:
        yield fail("redis", f"lost while looking: {type(error).__name__}", "see whether it restarts; run doctor again")


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        facts = {"check": finding.name, "level": finding.level.value, "text": finding.text}
        click.echo(json.dumps({**facts, **({"advice": finding.advice} if finding.advice else {})}))
        return
    level = click.style(f"{finding.level.value:<4}", fg=_STYLES[finding.level.value])
    click.echo(f"{level}  {one_line(finding.name)}: {one_line(finding.text)}")
    if finding.advice:
        click.echo(f"      → {one_line(finding.advice)}")
