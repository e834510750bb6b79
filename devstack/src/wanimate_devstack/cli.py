"""`wanimate-devstack`: the demo, and the stack until Ctrl-C."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from wanimate.program import Program, run

from .demo import run_demo
from .up import run_up


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="wanimate-devstack")
def cli() -> None:
    """Run the whole of Wanimate on this machine.

    In production run `celery -A wanimate_worker worker` and `beat` instead.
    """


@cli.command()
def demo() -> None:
    """Send forty jobs through the whole stack, with a simulated vendor."""
    sys.exit(run_demo(Console()))


@cli.command()
def up() -> None:
    """Run Redis, worker, beat and Flower until Ctrl-C: on the vendor if WANIMATE_API_KEY is set, else simulated."""
    sys.exit(run_up(Console()))


def main() -> None:
    """Run the command line."""
    run("wanimate-devstack", cli)
