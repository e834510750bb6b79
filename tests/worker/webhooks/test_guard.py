"""Where webhooks may go; refused without a connection."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import httpcore
import pytest
from wanimate_worker.webhooks.client import WebhookClient
from wanimate_worker.webhooks.guard import AddressRefused, GuardedNetwork, addresses_of, is_public

from .conftest import settings_with

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from wanimate_worker.webhooks import Answer
    from wanimate_worker.webhooks.guard import Resolve
    from webhook_receiver import Receiver

#: What the decimal, octal, hexadecimal and short spellings of 127.0.0.1 are.
LOOPBACK = ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "0.0.0.0", "0")
NOT_PUBLIC = (
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "127.0.0.1", "0.0.0.0"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    *("2001::1", "2001:db8::1"),
)
PUBLIC = (
    *("8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1"),
    *("2606:4700:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1"),
)


class Wire:
    """A network that connects to nothing, and notes to what it was to be connected."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.dead = dead
        self.tried: list[str] = []

    async def connect_tcp(self, host: str, *_: object) -> str:
        self.tried.append(host)
        if host in self.dead:
            raise httpcore.ConnectError
        return host


def connect(resolve: Resolve, *, networks: str = "", allows_public: bool = True, dead: Sequence[str] = ()) -> list[str]:
    """Connect, and return the addresses that were tried."""
    with ThreadPoolExecutor(1) as executor:
        allowed = [ip_network(name) for name in networks.split(",") if name]
        network = GuardedNetwork(allowed, allows_public=allows_public, executor=executor, resolve=resolve)
        network._network = wire = Wire(dead)  # type: ignore[assignment]
        try:
            asyncio.run(network.connect_tcp("host.example", 443))
        except AddressRefused:
            assert not wire.tried
        return wire.tried


def post(url: str, *, resolve: Resolve = addresses_of, tls: ssl.SSLContext | None = None, **settings: object) -> Answer:
    async def send() -> Answer:
        client = WebhookClient(settings_with(**settings), resolve=resolve, tls=tls)
        try:
            return await client.post(url, "1-0", b"{}")
        finally:
            client.close()

    return asyncio.run(send())


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_never_connected_to(address: str) -> None:
    assert connect(lambda *_: [address]) == []


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to(address: str) -> None:
    assert connect(lambda *_: [address]) == [address]
    assert is_public(ip_address(address)) or "ffff" in address


@pytest.mark.parametrize("address", [*PUBLIC, *NOT_PUBLIC])
def test_plain_http_goes_to_no_address_that_was_not_allowed(address: str) -> None:
    assert connect(lambda *_: [address], allows_public=False, networks="10.9.0.0/16") == []


@pytest.mark.parametrize("allows_public", [True, False])
def test_a_network_that_is_allowed_is_connected_to(allows_public: bool) -> None:  # noqa: FBT001 - a parameter
    for address in ("10.9.1.2", "::ffff:10.9.1.2", "fd00::5"):
        networks = "10.9.0.0/16,fd00::/64"
        assert connect(lambda *_: [address], allows_public=allows_public, networks=networks) == [address]  # noqa: B023


def test_of_several_addresses_only_those_are_tried_that_are_allowed() -> None:
    found = ["127.0.0.1", "8.8.8.8", "10.0.0.1", "9.9.9.9"]
    assert connect(lambda *_: found, dead=["8.8.8.8"]) == ["8.8.8.8", "9.9.9.9"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_spelling_of_loopback_gets_a_connection(receiver: Receiver, host: str) -> None:
    for scheme in ("http", "https"):
        answer = post(f"{scheme}://{host}:{receiver.port}/", webhook_networks="")
        assert answer.why
        assert answer.status is None
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "[fe80::1]"])
def test_the_reason_of_a_refusal_says_what_to_do(host: str) -> None:
    assert "WANIMATE_WEBHOOK_NETWORKS" in post(f"https://{host}/", webhook_networks="").why
    assert "WANIMATE_WEBHOOK_NETWORKS" in post(f"http://{host}/", webhook_networks="").why


def test_a_name_that_moves_to_another_address_is_checked_again(make_receiver: Callable[..., Receiver]) -> None:
    allowed, private = make_receiver("127.0.0.2"), make_receiver("127.0.0.1")
    allowed.answer = allowed.answers(200, Connection="close")
    moves = [["127.0.0.2"], ["127.0.0.1"]]
    looked_up: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return moves[len(looked_up) - 1]

    async def send() -> list[Answer]:
        client = WebhookClient(settings_with(webhook_networks="127.0.0.2/32"), resolve=resolve)
        try:
            # One look-up for each connection: what was checked is what was connected to.
            first = await client.post(f"http://rebinds.example:{allowed.port}/", "1-0", b"{}")
            assert looked_up == ["rebinds.example"]
            return [first, await client.post(f"http://rebinds.example:{private.port}/", "1-0", b"{}")]
        finally:
            client.close()

    taken, refused = asyncio.run(send())
    assert taken.why == ""
    assert "127.0.0.1" in refused.why
    assert (allowed.connections, private.connections) == (1, 0)


def test_tls_asks_for_the_name_and_not_for_the_address(
    make_receiver: Callable[..., Receiver], certified: Callable[[str], ssl.SSLContext], trusting: ssl.SSLContext
) -> None:
    receiver = make_receiver(tls=certified("hooks.example.com"))
    found = {"hooks.example.com": ["127.0.0.1"], "other.example.com": ["127.0.0.1"]}

    def resolve(host: str, _port: int) -> list[str]:
        return found[host]

    assert post(receiver.url(host="hooks.example.com"), resolve=resolve, tls=trusting).why == ""
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    assert "certificate" in post(receiver.url(host="other.example.com"), resolve=resolve, tls=trusting).why
    assert "certificate" in post(receiver.url(host="hooks.example.com"), resolve=resolve).why
    assert len(receiver.received) == 1


def test_a_host_that_is_not_found_is_a_reason(receiver: Receiver) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    answer = post(receiver.url(host="nowhere.example"), resolve=resolve)
    assert answer.why == "its host name could not be resolved: Name or service not known"
