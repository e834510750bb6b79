"""Who may open Flower: this machine alone, unless the settings say who else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from wanimate.errors import SettingsError

from ...addresses import is_loopback

if TYPE_CHECKING:
    from ...service_settings import FlowerSettings

_OPEN_API: Final = "FLOWER_UNAUTHENTICATED_API"


def secure(options: Any, settings: FlowerSettings) -> None:
    """Make Flower listen to this machine only, unless it asks for a password or a login.

    Args:
        options: Flower's, read from its variables, its file and its command line.
        settings: Where the password is.

    Raises:
        SettingsError: It would be open to strangers.
    """
    if settings.flower_auth is not None:
        ours = settings.flower_auth.get_secret_value()
        options.basic_auth = [ours, *(other for other in options.basic_auth or [] if other != ours)]
    if os.environ.get(_OPEN_API):
        raise SettingsError(
            f"{_OPEN_API}: it lets everybody cancel jobs and stop workers: unset it, and set "
            "WANIMATE_FLOWER_AUTH=user:password for those who may"
        )
    if options.unix_socket or is_closed(options):
        options.address = options.address or "127.0.0.1"
        return
    if options.address and not is_loopback(options.address):
        raise SettingsError(
            f"Flower would be open to everybody who reaches {options.address}: set WANIMATE_FLOWER_AUTH=user:password "
            "(or Flower's own --auth for OAuth2), or let it listen on 127.0.0.1"
        )
    options.address = options.address or "127.0.0.1"
    # Without a password Flower's buttons are refused anyway; this takes them off its pages.
    options.read_only = True


def is_closed(options: Any) -> bool:
    """Whether Flower asks its visitors who they are.

    Args:
        options: Flower's.
    """
    return bool(options.basic_auth or options.auth)
