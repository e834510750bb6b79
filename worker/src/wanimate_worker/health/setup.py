"""What `doctor` checks of the set-up: the Redis server, the settings against each other, and the vendor's key."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from wanimate.errors import SettingsError
from wanimate.redis.transport import VISIBILITY_TIMEOUT_SECONDS

from ..addresses import is_public
from ..vendor import NotSent, Throttled, Unauthorised, Unreadable
from .finding import Finding, fail, ok, warn
from .formatting import format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

    from ..engine.runtime import Runtime
    from ..ledger import AccountLimits, Ledger
    from ..settings import WorkerSettings

#: The scripts use what this version has.
_MIN_VERSION: Final = (6, 2)
#: Leases are Redis time only, so a difference harms no job; but logs and results then show two times.
_MAX_CLOCK_SECONDS: Final = 5.0
#: No task has this id: that the vendor says so shows that it takes the key.
_PROBE_TASK_ID: Final = "wanimate-key-probe"
#: What Redis must be set to, and why.
_CONFIG: Final = (
    ("appendonly", "yes", "a restart loses jobs, some of them paid for: set appendonly yes"),
    ("maxmemory-policy", "noeviction", "evicted records are lost jobs: set maxmemory-policy noeviction"),
)


def check_server(redis: Redis) -> Iterator[Finding]:
    """Yield what is found about the server: version, clock, durability, eviction; one failure if it does not answer."""
    before = time.time()
    try:
        server: dict[str, Any] = redis.info("server")
        seconds, micros = redis.time()
    except RedisError as error:
        text = f"not reachable: {' '.join(str(error).split()) or type(error).__name__}"
        yield fail("redis", text, "check WANIMATE_REDIS_URL, that the server runs, and that this machine may reach it")
        return
    # Valkey calls itself Redis 7.2.4 for old clients, which is true enough here.
    version = str(server.get("redis_version", "0"))
    name = f"{server.get('server_name', 'redis')} {server.get('valkey_version', version)}"
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _MIN_VERSION:
        yield fail("redis", f"{name} is too old", "use Redis or Valkey 6.2 or newer")
    else:
        yield ok("redis", f"{name} answers")
    ahead = seconds + micros / 1_000_000 - (before + time.time()) / 2
    text = f"Redis is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} this host"
    if abs(ahead) > _MAX_CLOCK_SECONDS:
        yield warn("clock", text, "set both clocks by NTP; jobs are safe, but times in logs and results differ")
    else:
        yield ok("clock", text)
    for name, wanted, advice in _CONFIG:
        elsewhere = f"look at your provider's settings: {advice}"
        try:
            value: str | None = redis.config_get(name).get(name)
        except RedisError as error:
            yield warn(name, f"cannot be read here ({type(error).__name__})", elsewhere)
            continue
        if value is None:
            yield warn(name, "the server does not say", elsewhere)
        else:
            yield ok(name, value) if value == wanted else fail(name, value, advice)


def check_replicas(redis: Redis, settings: WorkerSettings) -> Finding:
    """Return whether intents are as safe as the settings ask, and whether the settings use the replicas there are."""
    wanted = settings.intent_replicas
    try:
        info = redis.info("replication")
    except RedisError as error:
        return warn("replicas", f"cannot be read here ({type(error).__name__})", "allow the user +info")
    there = int(info.get("connected_slaves", 0))
    text = f"{there} connected, {wanted} must have an intent before its request is sent"
    if info.get("role") != "master":
        return fail("replicas", f"this server is a {info.get('role')}", "point WANIMATE_REDIS_URL at the master")
    if wanted > there:
        advice = "bring the replicas back, or lower WANIMATE_INTENT_REPLICAS"
        return fail("replicas", f"{text}: nothing is submitted", advice)
    if there and not wanted:
        text = f"{text}: a fail-over may forget one, and its job is billed twice"
        return warn("replicas", text, f"set WANIMATE_INTENT_REPLICAS={there} on all workers")
    return ok("replicas", text)


def check_vendor(runtime: Runtime) -> Finding:
    """Return whether the vendor takes the key, by one status request for a task that cannot exist."""
    try:
        answer = runtime.vendor.status(_PROBE_TASK_ID)
    except SettingsError as error:
        is_missing = runtime.settings.api_key is None
        wrong = "correct it here and on all workers; they do not start with it"
        advice = "set WANIMATE_API_KEY, here and on all workers" if is_missing else wrong
        return fail("api key" if is_missing else "vendor", str(error), advice)
    match answer:
        case Unauthorised(status, message):
            right_key = "set the right WANIMATE_API_KEY on all workers and restart them"
            advice = "add credit" if status == HTTPStatus.PAYMENT_REQUIRED else right_key
            return fail("api key", f"refused ({status}): {message}", advice)
        case NotSent(reason):
            advice = "check WANIMATE_API_BASE_URL and the network"
            return fail("api key", f"the vendor cannot be reached: {reason}", advice)
        case Throttled(_, message):
            return warn("api key", f"throttled: {message}", "try again in a minute; see wanimate-worker limits")
        case Unreadable(reason):
            return warn("api key", f"the answer says nothing: {reason}", "try again; ask the vendor if it stays so")
        case _:
            return ok("api key", f"{runtime.settings.api_base_url} takes it")


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
    text, fewer = f"{requests} requests a minute for {slots} slots", f"--max-in-flight {max(1, requests // 2)}"
    if requests < slots:
        advice = f"wanimate-worker limits {fewer}, or more requests if the vendor allows it"
        yield fail("limits", f"{text}: not even one poll a minute for each", advice)
    elif requests < 2 * slots:
        advice = f"fewer slots are used better: wanimate-worker limits {fewer}"
        yield warn("limits", f"{text}: results are noticed late", advice)
    else:
        yield ok("limits", text)
    if limits is not None and (differences := settings.disagreements(limits)):
        advice = "the account's limits count: correct this environment, or change them for all (wanimate-worker limits)"
        yield warn("limits here", "; ".join(differences), advice)


def check_callbacks(settings: WorkerSettings) -> Finding:
    """Return whether the vendor can reach the address of callbacks, as far as the address shows."""
    url = settings.callback_base_url
    if url is None:
        return ok("callbacks", "off; tasks are polled")
    ours, vendor = urlsplit(url), urlsplit(settings.api_base_url)
    public = "set WANIMATE_CALLBACK_BASE_URL to a public https:// address"
    if is_public(vendor.hostname or "") and not is_public(ours.hostname or ""):
        text = f"{url} is no public address: the vendor at {settings.api_base_url} cannot reach it"
        return fail("callbacks", text, f"{public}, or unset it: tasks are then polled")
    if ours.scheme == "http" and vendor.scheme == "https":
        text = f"{url} is not https://, and the vendor documents that it calls https:// only"
        return warn("callbacks", text, f"{public}, and unset WANIMATE_ALLOW_HTTP")
    return ok("callbacks", f"at {url}")


def check_webhooks(settings: WorkerSettings, limits: AccountLimits | None) -> Finding:
    """Return whether webhooks can be signed here, if the account has an address for them."""
    count = len(settings.webhook_secrets)
    if count:
        return ok("webhook secret", f"webhooks are signed with {count} secret{'' if count == 1 else 's'}")
    if limits is None or limits.webhook_url is None:
        return ok("webhook secret", "none, so no job may have a webhook")
    text = "the account has an address for webhooks, and this environment no secret to sign them with"
    return warn("webhook secret", text, "set the same WANIMATE_WEBHOOK_SECRET for all workers: without it none is sent")


def check_store(settings: WorkerSettings, limits: AccountLimits | None) -> Finding:
    """Return whether videos can be written to the account's store from here."""
    from ..keeping.failures import StoreFailed
    from ..keeping.store import Store  # obstore: a tenth of a second

    url = settings.keep_url if limits is None else limits.keep_url
    if url is None:
        return ok("store", "none: videos are not copied")
    advice = "the same holds for workers and keepers with this environment: no video is copied by them"
    try:
        Store(url).check()
    except (SettingsError, StoreFailed) as error:
        if settings.keep_threads == 0:
            advice = "it is the keepers that need it (WANIMATE_KEEP_THREADS is 0 here): run doctor in their environment"
            return warn("store", str(error), advice)
        return fail("store", str(error), advice)
    return ok("store", f"{url} takes videos")


def check_results(settings: WorkerSettings) -> Finding:
    """Return for how long results are kept, beside how long the vendor serves their URLs."""
    kept, served = settings.result_ttl_seconds, settings.result_urls_ttl_seconds
    text = f"kept for {format_seconds(kept)}, their URLs are served for {format_seconds(served)}"
    return ok("results", f"{text}; after that wait() raises ResultExpired" if served < kept else text)


def check_transport(app: Celery) -> Finding:
    """Return whether messages of workers that died come back in a sensible time."""
    seconds = float(app.conf.broker_transport_options.get("visibility_timeout", 3600))
    text = f"messages of a worker that died come back after {seconds:.0f} s"
    if seconds > 10 * VISIBILITY_TIMEOUT_SECONDS:
        return warn("visibility", text, "lower visibility_timeout: every task of ours may safely run twice")
    return ok("visibility", text)
