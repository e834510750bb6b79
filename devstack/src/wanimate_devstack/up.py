"""Runs a local stack until Ctrl-C: with the vendor if there is an API key, otherwise with the simulator."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wanimate.text import one_line
from wanimate_worker.settings import WorkerSettings

from .env_file import env_file
from .stack import Stack, StackOptions

if TYPE_CHECKING:
    from rich.console import Console


#: Settings that must be the same for every process of an account.
_AGREED: Final = (
    "WANIMATE_ACCOUNT",
    "WANIMATE_DAILY_BILLED_SECONDS",
    "WANIMATE_MAX_IN_FLIGHT",
    "WANIMATE_REQUESTS_PER_MINUTE",
)


def run_up(console: Console, env_path: Path) -> int:
    """Run a stack until a signal stops it and return the exit code.

    Args:
        console: For the addresses, which appear before the processes are ready.
        env_path: The file for the settings of other terminals.
    """
    settings = WorkerSettings.load()
    uses_vendor = settings.api_key is not None
    options = StackOptions(
        simulator=None if uses_vendor else {"cap": str(settings.max_in_flight)},
        settings=_webhooks(settings),
        has_ops=True,
        has_store=settings.keep_url is None,
        # Jobs at the vendor cost money, so their data survives this process.
        data_folder=Path(".wanimate/redis").absolute() if uses_vendor else None,
    )
    agreed = {name: os.environ[name] for name in _AGREED if name in os.environ}
    stack = Stack(options)
    try:
        stack.reserve_addresses()
        addresses = _addresses(stack, settings)
        comments = ["Settings of `wanimate-devstack up`, removed when it stops", *addresses]
        with env_file(env_path, {**stack.environment, **agreed}, comments, str(Path(sys.prefix) / "bin")) as used:
            console.print("[bold]Wanimate is starting.[/] Ctrl-C stops it.")
            for line in addresses:
                console.print(f"  {line}", markup=False, highlight=False)
            console.print("\nIn another terminal:")
            console.print(f"  . {one_line(str(used))}", markup=False, highlight=False)
            console.print("  wanimate animate --image https://example.com/a.png \\", highlight=False)
            console.print("      --video https://example.com/b.mp4\n", highlight=False)
            return _run(stack, console)
    finally:
        stack.stop()


def _run(stack: Stack, console: Console) -> int:
    with console.status("starting …"):
        stack.start()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    console.print("Wanimate is ready.")
    while not stopped.wait(1.0):
        ended = stack.ended()
        if ended is not None:
            console.print(f"[red]{ended.name} exited with code {ended.exit_code}:[/]")
            console.print("\n".join(map(one_line, ended.log_tail().splitlines())), markup=False, emoji=False)
            return 1
    with console.status("stopping after the current requests …"):
        stack.stop()
    console.print("Wanimate has stopped.")
    return 0


def _addresses(stack: Stack, settings: WorkerSettings) -> list[str]:
    """Return one line for each address."""
    vendor = f"{stack.simulator_url} (simulated: nothing is billed)"
    if stack.simulator_url is None:
        vendor = f"{settings.api_base_url} (jobs are billed)"
    login = "" if settings.flower_auth else " (read-only without WANIMATE_FLOWER_AUTH)"
    return [
        f"vendor  {vendor}",
        f"Redis   {stack.redis.url}",
        f"Flower  {stack.flower_url}{login}",
        f"limits  {stack.ops_url} (slots, queue, budget and cost)",
        f"videos  {settings.keep_url or stack.videos_folder}",
        f"logs    {stack.folder}{os.sep}",
    ]


def _webhooks(settings: WorkerSettings) -> dict[str, str]:
    """Return settings for webhooks to this machine, where the user has set none."""
    webhooks = {}
    if settings.webhook_secret is None:
        webhooks["WANIMATE_WEBHOOK_SECRET"] = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    if not settings.webhook_networks:
        webhooks["WANIMATE_WEBHOOK_NETWORKS"] = "127.0.0.0/8,::1/128"
    return webhooks
