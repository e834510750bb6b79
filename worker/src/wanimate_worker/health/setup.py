"""Checks of `doctor` for the set-up: the Redis server, the settings, and the vendor's key."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from wanimate.errors import SettingsError
from wanimate.redis.transport import VISIBILITY_TIMEOUT_SECONDS
from wanimate.text import counted

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

#: The scripts need features of this version.
_MIN_VERSION: Final = (6, 2)
#: Leases use Redis time only, so a difference harms no job, but logs and results show different times.
_MAX_CLOCK_SECONDS: Final = 5.0
#: No task has this id: if the vendor says so, it accepts the key.
_PROBE_TASK_ID: Final = "wanimate-key-probe"
#: Required settings of Redis, with the advice.
_CONFIG: Final = (
    ("appendonly", "yes", "a restart of Redis loses jobs, some of them paid for: set appendonly yes"),
    ("maxmemory-policy", "noeviction", "Redis may evict jobs: set maxmemory-policy noeviction"),
)


def check_server(redis: Redis) -> Iterator[Finding]:
    """Yield findings about the server: version, clock, durability, eviction; one failure if it does not answer."""
    before = time.time()
    try:
        server: dict[str, Any] = redis.info("server")
        seconds, micros = redis.time()
    except RedisError as error:
        text = f"not reachable: {' '.join(str(error).split()) or type(error).__name__}"
        yield fail("redis", text, "check WANIMATE_REDIS_URL, that the server runs, and the network")
        return
    # Valkey reports itself as Redis 7.2.4 for old clients, which is good enough here.
    version = str(server.get("redis_version", "0"))
    name = f"{server.get('server_name', 'redis')} {server.get('valkey_version', version)}"
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _MIN_VERSION:
        yield fail("redis", f"{name} is too old", "use Redis or Valkey 6.2 or newer")
    else:
        yield ok("redis", f"{name} answers")
    ahead = seconds + micros / 1_000_000 - (before + time.time()) / 2
    text = f"Redis is {abs(ahead):.2f} s {'ahead of' if ahead > 0 else 'behind'} this host"
    if abs(ahead) > _MAX_CLOCK_SECONDS:
        yield warn("clock", text, "synchronize both clocks by NTP; jobs are safe, but times in logs and results differ")
    else:
        yield ok("clock", text)
    for name, wanted, advice in _CONFIG:
        elsewhere = f"check your provider's settings: {advice}"
        try:
            value: str | None = redis.config_get(name).get(name)
        except RedisError as error:
            yield warn(name, f"cannot be read ({type(error).__name__})", elsewhere)
            continue
        if value is None:
            yield warn(name, "the server does not report it", elsewhere)
        else:
            yield ok(name, value) if value == wanted else fail(name, value, advice)


def check_replicas(redis: Redis, settings: WorkerSettings) -> Finding:
    """Return whether Redis has the replicas that the settings require, and whether the settings use those it has."""
    wanted = settings.intent_replicas
    try:
        info = redis.info("replication")
    except RedisError as error:
        return warn("replicas", f"cannot be read ({type(error).__name__})", "give the Redis user +info")
    there = int(info.get("connected_slaves", 0))
    text = f"{there} connected, {wanted} required before a job is submitted"
    if info.get("role") != "master":
        return fail("replicas", f"this server is a {info.get('role')}", "point WANIMATE_REDIS_URL at the master")
    if wanted > there:
        advice = "restore the replicas, or lower WANIMATE_INTENT_REPLICAS"
        return fail("replicas", f"{text}: no job is submitted", advice)
    if there and not wanted:
        text = f"{text}: a fail-over may lose a submission, whose job is then billed twice"
        return warn("replicas", text, f"set WANIMATE_INTENT_REPLICAS={there} on all workers")
    return ok("replicas", text)


def check_vendor(runtime: Runtime) -> Finding:
    """Return whether the vendor accepts the key, by one status request for a task that cannot exist."""
    try:
        answer = runtime.vendor.status(_PROBE_TASK_ID)
    except SettingsError as error:
        is_missing = runtime.settings.api_key is None
        wrong = "correct it here and on all workers, which do not start with it"
        advice = "set WANIMATE_API_KEY here and on all workers" if is_missing else wrong
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
            return warn(
                "api key",
                f"rate limited by the vendor: {message}",
                "try again in a minute; see `wanimate-worker limits`",
            )
        case Unreadable(reason):
            return warn(
                "api key", f"status response was inconclusive: {reason}", "try again; ask the vendor if it stays so"
            )
        case _:
            return ok("api key", f"accepted by {runtime.settings.api_base_url}")


def check_binding(ledger: Ledger, settings: WorkerSettings) -> Iterator[Finding]:
    """Yield a failure if the account's tasks are at another vendor than this environment's."""
    try:
        ledger.check_vendor(settings.api_base_url)
    except SettingsError as error:
        yield fail("vendor", str(error), "correct WANIMATE_API_BASE_URL here; workers do not start with it")


def check_limits(settings: WorkerSettings, limits: AccountLimits | None) -> Iterator[Finding]:
    """Yield whether the request budget suffices for the slots, and whether this environment has the same limits.

    Args:
        settings: This environment's.
        limits: The account's, which apply; None until a worker has set them.
    """
    counts = limits or settings.account_limits()
    slots, requests = counts.max_in_flight, counts.requests_per_minute
    text, fewer = f"{requests} requests a minute for {slots} slots", f"--max-in-flight {max(1, requests // 2)}"
    if requests < slots:
        advice = f"run `wanimate-worker limits {fewer}`, or raise the requests if the vendor allows it"
        yield fail("limits", f"{text}: less than one poll a minute for each", advice)
    elif requests < 2 * slots:
        advice = f"fewer slots are faster: `wanimate-worker limits {fewer}`"
        yield warn("limits", f"{text}: results are noticed late", advice)
    else:
        yield ok("limits", text)
    if limits is not None and (differences := settings.disagreements(limits)):
        advice = "the account's limits apply: correct this environment, or change them with `wanimate-worker limits`"
        yield warn("limits here", "; ".join(differences), advice)


def check_callbacks(settings: WorkerSettings) -> Finding:
    """Return whether the address of callbacks can be public."""
    url = settings.callback_base_url
    if url is None:
        return ok("callbacks", "off; tasks are polled")
    ours, vendor = urlsplit(url), urlsplit(settings.api_base_url)
    public = "set WANIMATE_CALLBACK_BASE_URL to a public https:// address"
    if is_public(vendor.hostname or "") and not is_public(ours.hostname or ""):
        text = f"{url} is not a public address: the vendor at {settings.api_base_url} cannot reach it"
        return fail("callbacks", text, f"{public}, or unset it: tasks are then polled")
    if ours.scheme == "http" and vendor.scheme == "https":
        text = f"{url} is not https://, and the vendor calls only https:// (its documentation)"
        return warn("callbacks", text, f"{public}, and unset WANIMATE_ALLOW_HTTP")
    return ok("callbacks", f"at {url}")


def check_webhooks(settings: WorkerSettings, limits: AccountLimits | None) -> Finding:
    """Return whether this environment can sign webhooks, if the account has a URL for them."""
    count = len(settings.webhook_secrets)
    if count:
        return ok("webhook secret", f"webhooks are signed with {counted(count, 'secret')}")
    if limits is None or limits.webhook_url is None:
        return ok("webhook secret", "none: no webhooks are sent")
    text = "the account has a webhook URL, but this environment has no secret to sign webhooks"
    return warn(
        "webhook secret", text, "set the same WANIMATE_WEBHOOK_SECRET for all workers: without it no webhooks are sent"
    )


def check_store(settings: WorkerSettings, limits: AccountLimits | None) -> Finding:
    """Return whether videos can be written to the account's store from this environment."""
    from ..keeping.failures import StoreFailed
    from ..keeping.store import Store  # obstore: a tenth of a second

    url = settings.keep_url if limits is None else limits.keep_url
    if url is None:
        return ok("store", "none: videos are not copied")
    advice = "workers and keepers with this environment copy no videos: correct the store or its credentials"
    try:
        Store(url).check()
    except (SettingsError, StoreFailed) as error:
        if settings.keep_threads == 0:
            advice = "only keepers need the store (WANIMATE_KEEP_THREADS is 0 here): run doctor in their environment"
            return warn("store", str(error), advice)
        return fail("store", str(error), advice)
    return ok("store", f"{url} is writable")


def check_results(settings: WorkerSettings) -> Finding:
    """Return how long results are kept, and how long the vendor serves their URLs."""
    kept, served = settings.result_ttl_seconds, settings.result_urls_ttl_seconds
    text = f"kept for {format_seconds(kept)}; the vendor's URLs expire after {format_seconds(served)}"
    return ok("results", f"{text}; after that wait() raises ResultExpired" if served < kept else text)


def check_transport(app: Celery) -> Finding:
    """Return whether messages of dead workers are requeued soon enough."""
    seconds = float(app.conf.broker_transport_options.get("visibility_timeout", 3600))
    text = f"messages of a dead worker are requeued after {seconds:.0f} s"
    if seconds > 10 * VISIBILITY_TIMEOUT_SECONDS:
        return warn("visibility", text, "lower visibility_timeout: every task may safely run twice")
    return ok("visibility", text)
