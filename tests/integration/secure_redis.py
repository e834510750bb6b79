"""A server that speaks TLS only, with one user who may do what docs/redis.md lists, and nobody else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError
from wanimate_devstack import Process, RedisServer, find_redis_server, free_port

if TYPE_CHECKING:
    import trustme

USER = "wanimate"
#: With what must be percent-encoded in a URL.
PASSWORD = "p@ss;/word"
#: Where .ci/tools puts one.
_BUILT = Path(__file__).parents[2] / "build/tools/redis-tls/redis-server"
_DOCUMENT = Path(__file__).parents[2] / "docs" / "redis.md"


def find_tls_server() -> str | None:
    """Return a server binary that speaks TLS, or None."""
    names = (find_redis_server(), "redis-server", "valkey-server", str(_BUILT))
    return next((found for name in names if (found := shutil.which(name)) and _speaks_tls(found)), None)


def documented_rule() -> list[str]:
    """Return the ACL rule of the documentation, as the words of `ACL SETUSER`."""
    [rule] = re.findall(r"^user wanimate (.*?)^```", _DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return rule.replace("\\\n", " ").split()


class SecureServer(RedisServer):
    """The server.

    Args:
        binary: A server that speaks TLS.
        folder: Where its data and certificates go.
        authority: Who signs its certificate.
    """

    def __init__(self, binary: str, folder: Path, authority: trustme.CA) -> None:
        super().__init__(folder, free_port())
        self._binary = binary
        self.ca_path = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_path)
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        rule = " ".join(word for word in documented_rule() if not word.startswith(">"))
        (folder / "users.acl").write_text(f"user default off\nuser {USER} {rule} >{PASSWORD}\n")
        self.url = self.url_with()

    def url_with(self, *, password: str = PASSWORD, ca_path: Path | None = None) -> str:
        """Return its URL, perhaps with a wrong password or another authority."""
        return (
            f"rediss://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/0?ssl_ca_certs={ca_path or self.ca_path}"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        folder = self.folder
        command = [
            *(self._binary, "--bind", "127.0.0.1", "--port", "0", "--tls-port", str(self.port), "--dir", str(folder)),
            *("--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")),
            *("--tls-ca-cert-file", str(self.ca_path), "--tls-auth-clients", "no"),
            *("--aclfile", str(folder / "users.acl"), "--save", "", "--appendonly", "yes"),
            *("--maxmemory-policy", "noeviction"),
        ]
        self.process = Process("redis", command, folder / "redis.log")
        self.process.wait_until(self._is_up, "ready")

    def _is_up(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as redis:
            try:
                return bool(redis.ping())
            except RedisError:
                return False


def _speaks_tls(binary: str) -> bool:
    """Whether a server asks for a certificate rather than say that it knows no TLS; either ends it."""
    command = [binary, "--port", "0", "--tls-port", str(free_port()), "--tls-cert-file", "/nonexistent", "--save", ""]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except subprocess.TimeoutExpired:
        return False
    return "Failed to configure TLS" in said
