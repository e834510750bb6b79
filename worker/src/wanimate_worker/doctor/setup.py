"""The settings: the vendor's key, the limits against each other, and the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from wanimate.errors import SettingsError
from wanimate.transport import VISIBILITY_TIMEOUT_SECONDS

from ..addresses import is_public
from ..durations import spelled
from ..upstream import NotSent, Throttled, Unauthorised, Unreadable
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from ..ledger import AccountLimits, Ledger
    from ..runtime import Runtime
    from ..settings import WorkerSettings

#: No task has this id: that the vendor says so shows that it takes the key.
_PROBE_TASK_ID: Final = "wanimate-key-probe"


def check_vendor(runtime: Runtime) -> Iterator[Finding]:
    """Yield whether the vendor takes the key: one status request for a task that cannot exist."""
    try:
        answer = runtime.upstream.status(_PROBE_TASK_ID)
    except SettingsError as error:
        if runtime.settings.api_key is None:
            yield fail("api key", str(error), "set WANIMATE_API_KEY, here and on all workers")
        else:
            yield fail("vendor", str(error), "correct it here and on all workers; they do not start with it")
        return
    match answer:
        case Unauthorised(status, message):
            advice = "add credit" if status == 402 else "set the right WANIMATE_API_KEY on all workers and restart them"  # noqa: PLR2004 - HTTP
            yield fail("api key", f"refused ({status}): {message}", advice)
        case NotSent(reason):
            yield fail(
                "api key", f"the vendor cannot be reached: {reason}", "check WANIMATE_API_BASE_URL and the network"
            )
        case Throttled(_, message):
            yield warn("api key", f"throttled: {message}", "try again in a minute; see wanimate-worker limits")
        case Unreadable(reason):
            yield warn("api key", f"the answer says nothing: {reason}", "try again; ask the vendor if it stays so")
        case _:
            yield ok("api key", f"{runtime.settings.api_base_url} takes it")


def check_binding(ledger: Ledger, settings: WorkerSettings) -> Iterator[Finding]:
    """Yield a failure if the account's tasks are at another vendor than this environment says."""
    try:
        ledger.check_vendor(settings.api_base_url)
    except SettingsError as error:
        yield fail("vendor", str(error), "workers do not start with it; resolve would ask the wrong vendor")


def check_limits(settings: WorkerSettings, limits: AccountLimits | None) -> Iterator[Finding]:
    """Yield whether the request budget suffices for the slots, and whether this environment means the same limits.

    Args:
        settings: This environment's.
        limits: The account's, which count; None where no worker has filled them yet.
    """
    counts = limits or settings.account_limits()
    slots, requests = counts.max_in_flight, counts.requests_per_minute
    text = f"{requests} requests a minute for {slots} slots"
    if requests < slots:
        yield fail(
            "limits",
            f"{text}: not even one poll a minute for each",
            f"wanimate-worker limits --max-in-flight {max(1, requests // 2)}, or more requests if the vendor allows it",
        )
    elif requests < 2 * slots:
        yield warn(
            "limits",
            f"{text}: results are noticed late",
            f"fewer slots are used better: wanimate-worker limits --max-in-flight {requests // 2}",
        )
    else:
        yield ok("limits", text)
    differences = [] if limits is None else settings.disagreements(limits)
    if differences:
        yield warn(
            "limits here",
            "; ".join(differences),
            "the account's limits count: correct this environment, or change them for all (wanimate-worker limits)",
        )


def check_callbacks(settings: WorkerSettings) -> Iterator[Finding]:
    """Yield whether the vendor can reach the address of callbacks, as far as the address tells."""
    url = settings.callback_base_url
    if url is None:
        yield ok("callbacks", "off; tasks are polled")
        return
    parts, vendor = urlsplit(url), urlsplit(settings.api_base_url)
    if is_public(vendor.hostname or "") and not is_public(parts.hostname or ""):
        yield fail(
            "callbacks",
            f"{url} is no public address: the vendor at {settings.api_base_url} cannot reach it",
            "set WANIMATE_CALLBACK_BASE_URL to a public https:// address, or unset it: tasks are then polled",
        )
    elif parts.scheme == "http" and vendor.scheme == "https":
        yield warn(
            "callbacks",
            f"{url} is not https://, and the vendor documents that it calls https:// only",
            "set WANIMATE_CALLBACK_BASE_URL to a public https:// address, and unset WANIMATE_ALLOW_HTTP",
        )
    else:
        yield ok("callbacks", f"at {url}")


def check_results(settings: WorkerSettings) -> Iterator[Finding]:
    """Yield for how long results are kept, beside how long the vendor serves their URLs."""
    kept, served = settings.result_ttl_seconds, settings.result_urls_ttl_seconds
    text = f"kept for {spelled(kept * 1000)}, their URLs are served for {spelled(round(served * 1000))}"
    yield ok("results", f"{text}; after that wait() raises ResultExpired" if served < kept else text)


def check_transport(app: Celery) -> Iterator[Finding]:
    """Yield whether messages of workers that died come back in a sensible time."""
    options: dict[str, Any] = app.conf.broker_transport_options
    seconds = float(options.get("visibility_timeout", 3600))
    text = f"messages of a worker that died come back after {seconds:.0f} s"
    if seconds > 10 * VISIBILITY_TIMEOUT_SECONDS:
        yield warn("visibility", text, "lower visibility_timeout: every task of ours may safely run twice")
    else:
        yield ok("visibility", text)
