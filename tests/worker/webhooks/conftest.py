"""Receivers of webhooks: real HTTP servers on loopback, with or without TLS."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme
from pydantic import SecretStr
from wanimate_worker.settings import WorkerSettings
from webhook_receiver import NETWORKS, SECRET, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is true; fail after a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)


def settings_with(**values: object) -> WorkerSettings:
    of_tests = {"webhook_secret": SecretStr(SECRET), "webhook_networks": NETWORKS, "webhook_timeout_seconds": 5.0}
    return WorkerSettings.model_validate({"api_key": SecretStr("sk-of-nobody"), **of_tests, **values})


@pytest.fixture
def make_receiver() -> Iterator[Callable[..., Receiver]]:
    receivers: list[Receiver] = []

    def make(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Receiver:
        receivers.append(Receiver(host, tls))
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.stop()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What trusts the authority, and no other."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """Make what a server of a name speaks TLS with."""

    def make(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make
