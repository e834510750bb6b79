"""`wanimate-worker`: the operator's commands, the processes beside the workers, and the settings reference."""

from __future__ import annotations

import click
from wanimate.program import Program, completion_of, epilog, run

from .changes import cancel, end, retry
from .dead import dead
from .doctor import doctor
from .forget import forget
from .hold import drain, pause, resume
from .jobs import jobs, show
from .limits import limits
from .resolve import resolve
from .servers import callbacks, flower, keep, ops
from .top import top
from .webhooks import webhooks


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=epilog("wanimate-worker doctor"),
)
@click.version_option(package_name="wanimate-worker")
def cli() -> None:
    """Operate Wanimate: jobs, submissions, limits, health, and the processes beside the workers.

    Start workers and beat with `celery -A wanimate_worker worker` and `celery -A wanimate_worker beat`.
    """


@cli.command(name="settings", epilog=epilog("wanimate-worker settings"))
def settings_reference() -> None:
    """Print the reference of all settings, as Markdown."""
    from ..reference import settings_page

    click.echo(settings_page(), nl=False)


@cli.command(name="failure-codes", epilog=epilog("wanimate-worker failure-codes"))
def failure_codes_reference() -> None:
    """Print the reference of failure codes, as Markdown."""
    from ..reference import failure_codes_page

    click.echo(failure_codes_page(), nl=False)


for _command in (
    *(jobs, show, retry, resolve, end, cancel, forget, dead, webhooks),
    *(limits, pause, resume, drain),
    *(doctor, top, callbacks, ops, keep, flower, completion_of("wanimate-worker", cli)),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    run("wanimate-worker", cli)
