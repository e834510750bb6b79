"""`wanimate-worker webhooks`: lists, shows, replays and tests webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

import click
from wanimate.contract import Event
from wanimate.contract.urls import check_http_url
from wanimate.program import Program, epilog
from wanimate.redis.event_stream import order_of
from wanimate.text import counted, format_duration

from ..ledger import Delivery, endpoint_of
from .session import Exit, Session, Verdict, command, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIMIT: Final = 50
_GONE: Final = "not found: check the id, or its event is older than those kept (`limits`: events kept)"
_SIGNED: Final = "each attempt has its own webhook-timestamp and webhook-signature"


@click.group(cls=Program, epilog=epilog("wanimate-worker webhooks list --given-up"))
def webhooks() -> None:
    """List, show, replay and test webhooks."""


def _http_url(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    try:
        if url is not None:
            check_http_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return url


def _endpoint(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    if url is None:
        return None
    _http_url(_context, _option, url)
    return endpoint_of(url)


def _selection(function: Callable[..., Exit]) -> Callable[..., Exit]:
    for option in (
        click.option("--endpoint", metavar="URL", callback=_endpoint, help="Only those to this host and port."),
        click.option("--job", metavar="ID", help="Only those of this job."),
        click.option("--given-up", is_flag=True, help="Only those that are not retried any more."),
    ):
        function = option(function)
    return function


@command("webhooks list --given-up --endpoint https://example.com")
@_selection
@click.option("--limit", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="The most webhooks.")
def list_(session: Session, *, given_up: bool, job: str | None, endpoint: str | None, limit: int) -> Exit:
    """List undelivered webhooks, the oldest first.

    A line has the event, job, state, endpoint, number of attempts, next attempt and the error of the last one.
    """
    outbox, now_ms = session.ledger.outbox, session.ledger.records.now_ms()
    dead = outbox.given_up()
    found = nsmallest(limit, _selected(session, dead, given_up, job, endpoint), key=_age)
    tries = outbox.next_tries(found)
    for delivery in found:
        facts = _facts(delivery, dead.get(delivery.event_id), tries[delivery.event_id])
        session.line(_line(facts, now_ms), **facts)
    if len(found) == limit:
        session.note(f"The first {counted(limit, 'webhook')}. For more, use --limit.")
    elif not found and not session.as_json:
        session.note("No webhooks found.")
    return Exit.OK


@command("webhooks show 1764583200000-0", Exit.REFUSED)
@click.argument("event_id")
def show(session: Session, event_id: str) -> Exit:
    """Show one webhook as it is sent, and its last attempt.

    Delivered webhooks can be shown while their event is kept. The signature and the URL's query may be secret and are
    not printed.
    """
    outbox = session.ledger.outbox
    delivery = outbox.get(event_id)
    fields = outbox.event(event_id) if delivery is None else delivery.fields
    if fields is None:
        session.note(f"{event_id}: {_GONE}")
        return Exit.REFUSED
    body = Event.read(event_id, fields).to_webhook()
    facts: dict[str, Any] = {"event_id": event_id, "job_id": fields["job_id"], "undelivered": delivery is not None}
    if delivery is not None:
        given_up_ms = outbox.given_up().get(event_id)
        facts |= _facts(delivery, given_up_ms, outbox.next_tries([delivery])[event_id])
        facts["url"] = _without_query(delivery.url)
        facts["first_try_at_ms"] = delivery.first_ms
    headers = {"content-type": "application/json", "webhook-id": event_id}
    if session.as_json:
        session.line("", **facts, headers=headers, body=body)
        return Exit.OK
    for name, value in facts.items():
        if value not in {None, ""}:
            session.line(f"{name:<18} {_moment(value) if name.endswith('_at_ms') else value}")
    session.line("headers")
    for name, value in headers.items():
        session.line(f"  {name}: {value}")
    session.line(f"  ({_SIGNED})")
    session.line("body")
    for line in json.dumps(body, indent=2, ensure_ascii=False).splitlines():
        session.line(f"  {line}")
    return Exit.OK


@command("webhooks replay --given-up", Exit.REFUSED)
@click.argument("event_ids", metavar="[EVENT_ID...]", nargs=-1)
@_selection
@click.option("--url", callback=_http_url, metavar="URL", help="Send them to this URL; needed if an event had none.")
def replay(
    session: Session,
    event_ids: tuple[str, ...],
    *,
    given_up: bool,
    job: str | None,
    endpoint: str | None,
    url: str | None,
) -> Exit:
    """Send webhooks again now, by id or by option.

    Delivered webhooks can be replayed while their event is kept. The webhook-id stays the same, so a receiver that
    stores ids ignores the duplicate. Retries start again, for WANIMATE_WEBHOOK_RETRY_SECONDS.
    """
    if bool(event_ids) == bool(given_up or job or endpoint):
        raise click.UsageError("give ids of events, or --given-up, --endpoint or --job")
    dead = session.ledger.outbox.given_up()
    if not event_ids:
        found = sorted(_selected(session, dead, given_up, job, endpoint), key=_age)
        event_ids = tuple(each.event_id for each in found)
    worst = Exit.OK
    for event_id in event_ids:
        code, outcome, text, _ = _replay(session, event_id, url, is_dead=event_id in dead)
        session.line(f"{event_id}  {outcome}  {text}", event_id=event_id, outcome=outcome, message=text)
        worst = max(worst, code)
    if not event_ids:
        session.note("No webhooks found.")
    return worst


@command("webhooks test https://example.com/hooks", Exit.REFUSED)
@click.argument("url", callback=_http_url)
def test(session: Session, url: str) -> Exit:
    """Send a signed test webhook and print the response.

    Its type is wanimate.test. Addresses that are not public must be in WANIMATE_WEBHOOK_NETWORKS, as for any webhook.
    """
    from ..webhooks.client import send_test

    answer, shown = send_test(session.runtime.settings, url), _without_query(url)
    facts = {"url": shown, "status": answer.status, "seconds": round(answer.seconds, 3)}
    if answer.why:
        session.line(f"not delivered to {shown}: {answer.why}", **facts, taken=False, why=answer.why)
        return Exit.REFUSED
    session.line(f"delivered to {shown}: HTTP {answer.status} after {answer.seconds:.3f} s", **facts, taken=True)
    return Exit.OK


for _name, _command in (("list", list_), ("show", show), ("replay", replay), ("test", test)):
    webhooks.add_command(_command, _name)


def _selected(
    session: Session,
    dead: dict[str, int],
    given_up: bool,  # noqa: FBT001 - as the options are
    job: str | None,
    endpoint: str | None,
) -> Iterator[Delivery]:
    for delivery in session.ledger.outbox.undelivered():
        is_meant = (not given_up or delivery.event_id in dead) and job in {None, delivery.job_id}
        if is_meant and endpoint in {None, delivery.endpoint}:
            yield delivery


def _replay(session: Session, event_id: str, url: str | None, *, is_dead: bool) -> Verdict:
    outbox = session.ledger.outbox
    delivery = outbox.get(event_id)
    if delivery is None:
        fields = outbox.event(event_id)
        if fields is None:
            return Verdict(Exit.REFUSED, "not found", _GONE)
        to = url or _address_of(session, fields["job_id"])
        if to is None:
            return refused("neither its job nor the account has a webhook URL: give --url")
        outbox.replay(Delivery(event_id, to, fields))
        return Verdict(Exit.OK, "replayed", f"sent again to {endpoint_of(to)}")
    if not is_dead and outbox.next_tries([delivery])[event_id] is None:
        return refused("an earlier webhook of the same job is undelivered: replay that one")
    to = url or delivery.url
    if endpoint_of(to) != delivery.endpoint:
        # Else it stays in the queue of its old endpoint.
        outbox.forget(delivery)
    outbox.replay(Delivery(event_id, to, delivery.fields))
    return Verdict(Exit.OK, "replayed", f"sent now to {endpoint_of(to)}")


def _address_of(session: Session, job_id: str) -> str | None:
    """Return the webhook URL of a job, else the account's; None if there is neither."""
    [job] = session.ledger.records.read([job_id])
    limits = session.ledger.limits.read()
    url: str | None = job.request.get("webhook_url")
    return url or (None if limits is None else limits.webhook_url)


def _facts(delivery: Delivery, given_up_ms: int | None, next_try_ms: int | None) -> dict[str, Any]:
    return {
        "event_id": delivery.event_id,
        "job_id": delivery.job_id,
        "state": Event.read(delivery.event_id, delivery.fields).state.value,
        "endpoint": delivery.endpoint,
        "attempts": delivery.attempts,
        "given_up_at_ms": given_up_ms,
        "next_try_at_ms": None if given_up_ms is not None else next_try_ms,
        "why": delivery.why,
    }


def _line(facts: dict[str, Any], now_ms: int) -> str:
    given_up_ms, next_ms = facts["given_up_at_ms"], facts["next_try_at_ms"]
    if given_up_ms is not None:
        plan = f"given up {format_duration(max(0, now_ms - given_up_ms))} ago"
    elif next_ms is None:
        plan = "after an earlier webhook of its job"
    elif next_ms > now_ms:
        plan = f"next attempt in {format_duration(next_ms - now_ms)}"
    else:
        plan = "next attempt now"
    attempts = counted(facts["attempts"], "attempt")
    parts = [facts["event_id"], facts["job_id"], facts["state"], facts["endpoint"], attempts, plan, facts["why"]]
    return "  ".join(part for part in parts if part)


def _age(delivery: Delivery) -> tuple[int, ...]:
    return order_of(delivery.event_id)


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="milliseconds")


def _without_query(url: str) -> str:
    # Importing the client of webhooks takes a quarter of a second.
    from ..webhooks.client import shown

    return shown(url)
