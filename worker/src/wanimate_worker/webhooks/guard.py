"""Where webhooks may go: a host is looked up, its addresses are checked, and the checked ones are connected to.

The caller of a job chooses where its webhook goes. Without this check it could reach what only the workers' network
reaches, such as a cloud's metadata service (server-side request forgery).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

import httpcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor
    from ipaddress import IPv4Network, IPv6Network

    #: Looks a host and a port up, and returns addresses; raises `OSError` if it finds none.
    Resolve = Callable[[str, int], Sequence[str]]

#: Public by their numbers, but served by the cloud to its own machines only: Oracle's metadata, Azure's platform.
_OF_CLOUDS: Final = (ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))
#: The only IPv6 addresses that are public (RFC 4291, section 2.4; IANA assigns no others).
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
#: IPv6 addresses of IPv4 hosts (RFC 6052).
_NAT64: Final = ip_network("64:ff9b::/96")
#: How long one of several addresses may take to answer before the next one is tried, in seconds.
_NEXT_ADDRESS_SECONDS: Final = 3.0


class AddressRefused(Exception):
    """A webhook would go to an address that it may not go to."""


def addresses_of(host: str, port: int) -> list[str]:
    """Look a host up in the system's resolver, and return its addresses in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is a host of the internet, also where it is an IPv4 address within an IPv6 address."""
    if isinstance(address, IPv4Address):
        is_of_cloud = any(address in network for network in _OF_CLOUDS)
        return address.is_global and not address.is_multicast and not is_of_cloud
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    if address.sixtofour is not None and not is_public(address.sixtofour):
        return False
    return address.is_global and address in _GLOBAL_UNICAST


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that are allowed, and to no others.

    Args:
        networks: Networks that are not public and allowed all the same.
        allows_public: Whether public addresses are allowed, too.
        executor: Where hosts are looked up; one that takes long must not hold up others.
        resolve: What looks hosts up.
    """

    def __init__(
        self,
        networks: Iterable[IPv4Network | IPv6Network],
        *,
        allows_public: bool,
        executor: Executor,
        resolve: Resolve = addresses_of,
    ) -> None:
        self._networks = tuple(networks)
        self._allows_public = allows_public
        self._executor = executor
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first allowed address of a host that answers; httpcore calls this.

        Raises:
            AddressRefused: None of its addresses is allowed.
            OSError: It could not be looked up.
            ConnectError: None of its allowed addresses answers.
            ConnectTimeout: None of its allowed addresses answers.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._executor, self._resolve, host, port)
        *others, last = self._allowed(host, found)
        for address in others:
            try:
                return await self._network.connect_tcp(
                    address, port, _NEXT_ADDRESS_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    def _allowed(self, host: str, found: Sequence[str]) -> list[str]:
        allowed = [address for address in found if self._allows(ip_address(address))]
        if allowed:
            return allowed
        at = f"{host} is at {', '.join(found[:3])}"
        if self._allows_public:
            raise AddressRefused(f"{at}, which is not public; if it may be called, add it to WANIMATE_WEBHOOK_NETWORKS")
        raise AddressRefused(f"{at}, and http:// is for addresses in WANIMATE_WEBHOOK_NETWORKS only; use https://")

    def _allows(self, address: IPv4Address | IPv6Address) -> bool:
        address = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
        return any(address in network for network in self._networks) or (self._allows_public and is_public(address))
