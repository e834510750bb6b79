"""`wanimate-devstack`: the demo, and a local stack."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from wanimate.program import Program, epilog, run

from .demo import run_demo
from .up import run_up


@click.group(
    cls=Program,
    epilog=epilog("wanimate-devstack up"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="wanimate-devstack")
def cli() -> None:
    """Run all processes of Wanimate on this machine.

    For development only. In production run `celery -A wanimate_worker worker`, `celery -A wanimate_worker beat` and
    your own Redis.
    """


@cli.command(epilog=epilog("wanimate-devstack demo"))
def demo() -> None:
    """Run 40 jobs with a simulated vendor and print a summary."""
    sys.exit(run_demo(Console()))


@cli.command(epilog=epilog("wanimate-devstack up --env-file /tmp/wanimate.env"))
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("build/up.env"),
    show_default=True,
    help="Write the settings for other terminals to this file; removed at the end.",
)
def up(env_file: Path) -> None:
    """Run Redis, a worker, beat, Flower and ops until Ctrl-C.

    With WANIMATE_API_KEY the stack uses the vendor: jobs are billed, and Redis keeps its data in .wanimate/redis.
    Without it the stack uses a simulated vendor, and all data is removed at the end.
    """
    sys.exit(run_up(Console(soft_wrap=True), env_file))


def main() -> None:
    """Run the command line."""
    run("wanimate-devstack", cli)
