"""Which hosts are this machine's own."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether a host is `localhost` or a loopback address; no name is ever resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
