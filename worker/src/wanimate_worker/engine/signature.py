"""Callback URLs: each names one attempt of one job, and is signed, so that no other can be made up."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from pydantic import SecretStr

#: Where callbacks arrive, below the base URL.
CALLBACK_PATH: Final = "/v1/callbacks/"
#: What is signed begins with this, so that no signature of another use or version of it is ever valid here.
_DOMAIN: Final = b"wanimate callback v1\n"
#: Bytes of the number in front of each signed part: without it ("ab", "c") and ("a", "bc") would be the same text.
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class SignedPath:
    """What a callback URL names; nothing is proved before `Signer.has_signed` says so.

    Args:
        account: The vendor account.
        job_id: The job.
        nonce: The attempt.
        signature: HMAC-SHA256 of the three, in lower-case hex.
    """

    account: str
    job_id: str
    nonce: str
    signature: str

    @classmethod
    def read(cls, path: str) -> SignedPath | None:
        """Read `account/job id/nonce/signature`; None if a part is missing.

        A job id may hold slashes: a job of other Celery code has the task id that its caller chose.

        Args:
            path: The path below `CALLBACK_PATH`, percent-decoded.
        """
        account, _, rest = path.partition("/")
        parts = rest.rsplit("/", 2)
        return cls(account, *parts) if len(parts) == 3 and all((account, *parts)) else None  # noqa: PLR2004


class Signer:
    """Signs callback URLs, and tells its own from others."""

    def __init__(self, secret: SecretStr) -> None:
        self._key = secret.get_secret_value().encode()

    def url(self, base_url: str, account: str, job_id: str, nonce: str) -> str:
        """Return the URL that the vendor calls back for one attempt."""
        parts = (account, job_id, nonce, self._sign(account, job_id, nonce))
        return base_url + CALLBACK_PATH + "/".join(quote(part, safe="") for part in parts)

    def has_signed(self, path: SignedPath) -> bool:
        """Return whether a path was signed with this secret; takes equally long for each wrong signature."""
        expected = self._sign(path.account, path.job_id, path.nonce)
        return hmac.compare_digest(expected.encode(), path.signature.encode(errors="surrogatepass"))

    def _sign(self, *parts: str) -> str:
        signed = hmac.new(self._key, _DOMAIN, hashlib.sha256)
        for part in parts:
            raw = part.encode(errors="surrogatepass")
            signed.update(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
        return signed.hexdigest()
