"""Checks that a webhook comes from this account's workers (Standard Webhooks, "Verifying webhook authenticity")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidArgument, WanimateError, WebhookInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def verified(body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> tuple[str, Any]:
    """Return the id and the content of a webhook that is signed with one of the secrets.

    Raises:
        InvalidArgument: There is no secret, or one is not what WANIMATE_WEBHOOK_SECRET holds.
        WebhookInvalid: The signature, the time or the body is wrong.
        WanimateError: The library that checks signatures is not installed.
    """
    try:
        from standardwebhooks import Webhook, WebhookVerificationError
    except ImportError:
        raise WanimateError(
            "the library standardwebhooks, which checks signatures, is missing: install wanimate[webhooks]"
        ) from None
    reason = ""
    for each in _secrets(secret):
        try:
            checker = Webhook(each)
        except ValueError:
            raise InvalidArgument("secret: give the value of WANIMATE_WEBHOOK_SECRET, such as 'whsec_…'") from None
        try:
            content = checker.verify(body, dict(headers))
        except WebhookVerificationError as error:
            reason = str(error)
        except (ValueError, RecursionError):
            reason = "its headers or its body are malformed"
        else:
            return next(value for name, value in headers.items() if name.lower() == "webhook-id"), content
    raise WebhookInvalid(
        f"this is no webhook of this account ({reason}): answer it with 400. If all are refused, check that the secret "
        "is that of the workers, that the body is given as it was received, and the clock of this machine"
    )


def _secrets(secret: str | Iterable[str]) -> list[str]:
    """Return the secrets one by one; one text may hold several, as WANIMATE_WEBHOOK_SECRET does."""
    given = [each for text in ([secret] if isinstance(secret, str) else secret) for each in text.split()]
    if not given:
        raise InvalidArgument("secret: it is empty: give the value of WANIMATE_WEBHOOK_SECRET")
    return given
