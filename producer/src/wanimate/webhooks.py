"""Verifies the signatures of webhooks (Standard Webhooks, "Verifying webhook authenticity")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidArgument, WanimateError, WebhookInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def verified(body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> tuple[str, Any]:
    """Return the id and the content of a webhook if one of the secrets has signed it.

    Raises:
        InvalidArgument: There is no secret, or one is malformed.
        WebhookInvalid: The signature, the time or the body is invalid.
        WanimateError: The library standardwebhooks is not installed.
    """
    try:
        from standardwebhooks import Webhook, WebhookVerificationError
    except ImportError:
        raise WanimateError(
            "the library standardwebhooks, which verifies signatures, is not installed: install wanimate[webhooks]"
        ) from None
    reason = ""
    for each in _secrets(secret):
        try:
            checker = Webhook(each)
        except ValueError:
            raise InvalidArgument("secret: expected the value of WANIMATE_WEBHOOK_SECRET, such as 'whsec_…'") from None
        try:
            content = checker.verify(body, dict(headers))
        except WebhookVerificationError as error:
            reason = str(error)
        except (ValueError, RecursionError):
            reason = "its headers or its body are malformed"
        else:
            return next(value for name, value in headers.items() if name.lower() == "webhook-id"), content
    raise WebhookInvalid(
        f"the request is not a valid webhook of this account ({reason}): respond with 400. If every webhook is "
        "refused, check that the secret is the workers', that the body is unchanged, and this machine's clock"
    )


def _secrets(secret: str | Iterable[str]) -> list[str]:
    """Return all secrets; one text may contain several, like WANIMATE_WEBHOOK_SECRET."""
    given = [each for text in ([secret] if isinstance(secret, str) else secret) for each in text.split()]
    if not given:
        raise InvalidArgument("secret: empty: expected the value of WANIMATE_WEBHOOK_SECRET")
    return given
