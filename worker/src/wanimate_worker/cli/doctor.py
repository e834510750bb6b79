"""`wanimate-worker doctor`: checks everything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click
from wanimate.program import ExitCode, epilog
from wanimate.text import one_line

from .session import celery_app, open_runtime, reported_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..health.finding import Finding


class _Exit(ExitCode):
    OK = 0, "every check is ok or info"
    WARNINGS = 1, "at least one warn"
    FAILURES = 2, "at least one fail, or wrong settings"
    UNAVAILABLE = 3, "Redis stopped answering meanwhile"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"


_STYLES: Final = {"ok": "green", "info": "blue", "warn": "yellow", "fail": "red"}


@click.command(epilog=epilog("wanimate-worker doctor --no-vendor", _Exit))
@click.option("--no-vendor", is_flag=True, help="Send no request to the vendor.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def doctor(*, no_vendor: bool, as_json: bool) -> None:
    """Check everything and print what to do.

    It checks Redis, settings, the API key, queues, workers, beat, submissions, jobs, copies and webhooks. It changes
    nothing.
    """
    from ..health.finding import Severity

    checks: dict[Severity, list[str]] = {}
    with reported_errors():
        for finding in _findings(asks_vendor=not no_vendor):
            checks.setdefault(finding.severity, []).append(one_line(finding.check))
            _show(finding, as_json=as_json)
    well = len(checks.pop(Severity.OK, []))
    problems = [f"{severity.name.lower()}: {', '.join(checks[severity])}" for severity in sorted(checks, reverse=True)]
    if not as_json:
        click.echo("; ".join([*problems, f"{well} ok"]), err=True)
    raise SystemExit(max(0, max(checks, default=Severity.OK) - Severity.INFO))


def _findings(*, asks_vendor: bool) -> Iterator[Finding]:
    from redis.exceptions import RedisError
    from wanimate.errors import SettingsError

    from ..health import setup, work
    from ..health.finding import fail
    from ..health.reading import Reader
    from ..health.rules import findings_of

    runtime = open_runtime()
    app, redis = celery_app(runtime), runtime.redis
    settings, ledger = runtime.settings, runtime.ledger
    server = list(setup.check_server(redis))
    yield from server
    yield setup.check_transport(app)
    yield setup.check_callbacks(settings)
    yield setup.check_results(settings)
    if asks_vendor:
        yield setup.check_vendor(runtime)
    if len(server) == 1:
        # Redis does not answer: nothing else can be checked.
        return
    try:
        ledger.check_database()
        yield from setup.check_binding(ledger, settings)
        limits = ledger.limits.read()
        yield from setup.check_limits(settings, limits)
        yield setup.check_webhooks(settings, limits)
        yield setup.check_store(settings, limits)
        yield setup.check_replicas(redis, settings)
        yield work.check_held(app, redis)
        yield from work.check_unread(app, redis)
        yield from work.check_workers(app, redis)
        now = Reader(redis, settings).read()
        if asks_vendor and settings.api_key is not None:
            now = work.with_balance_of_vendor(runtime, now)
        yield from findings_of(now)
        yield from work.check_jobs(ledger)
    except SettingsError as error:
        yield fail(
            "account", str(error), "set WANIMATE_ACCOUNT or WANIMATE_REDIS_URL right; the other checks were skipped"
        )
    except RedisError as error:
        yield fail("redis", f"stopped answering: {type(error).__name__}", "check the server, then run doctor again")


def _show(finding: Finding, *, as_json: bool) -> None:
    from ..health.exports import finding_to_json
    from ..health.finding import DOCTOR

    if as_json:
        click.echo(json.dumps(finding_to_json(finding)))
        return
    severity = finding.severity.name.lower()
    head = click.style(f"{severity:<4}", fg=_STYLES[severity])
    click.echo(f"{head}  {one_line(finding.check)}: {one_line(finding.text)}")
    if finding.advice:
        click.echo(f"      → {one_line(finding.advice)}")
        if finding.command != DOCTOR:
            click.echo(f"      $ {one_line(finding.command)}")
