"""The command `wanimate-simulator`."""

from types import MappingProxyType
from typing import NamedTuple

import click
import orjson

from .check import check
from .faults import Faults, InvalidFaultsError
from .options import MAX_VIDEO_BYTES, MIN_VIDEO_BYTES, InvalidOptionsError, Options, are_weights
from .server import NonLoopbackHostError, serve


class Plan(NamedTuple):
    """What a key of a plan may use.

    Args:
        cap: tasks in flight at once.
        rate: requests a minute.
    """

    cap: int
    rate: int


#: Source: the vendor's API overview; the default, its page of this model. Enterprise limits are by contract, and these
#: stand for one.
PLANS = MappingProxyType(
    {
        "free": Plan(3, 10),
        "pro": Plan(10, 60),
        "enterprise": Plan(100, 1000),
        "default": Plan(1000, 10_000),
    }
)
_SHARE = click.FloatRange(0, 1)


def _parse_faults(_context: click.Context, _parameter: click.Parameter, value: str) -> Faults:
    try:
        faults = Faults.parse(orjson.loads(value))
    except (orjson.JSONDecodeError, InvalidFaultsError) as error:
        raise click.BadParameter(str(error)) from error
    if faults.refuse_for_seconds:
        raise click.BadParameter("refuse_for_seconds acts when it is put; it cannot be on at the start")
    return faults


def _parse_codes(_context: click.Context, _parameter: click.Parameter, value: str) -> dict[str, float]:
    try:
        codes: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(str(error)) from error
    if not are_weights(codes):
        raise click.BadParameter("must be a JSON object that gives each code a weight above 0")
    return codes  # type: ignore[return-value]  # checked just above


@click.group(invoke_without_command=True, context_settings={"show_default": True})
@click.version_option(package_name="wanimate-simulator")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8900, type=click.IntRange(0, 65535), help="Port to listen on; 0 for a free one.")
@click.option("--plan", default="default", type=click.Choice(list(PLANS)), help="The plan whose limits hold.")
@click.option("--cap", type=click.IntRange(1), help="Tasks that may be in flight at once.  [default: the plan's]")
@click.option("--rate", type=click.IntRange(1), help="Requests a simulated minute.  [default: the plan's]")
@click.option("--speed", default=1.0, type=click.FloatRange(0, min_open=True), help="Simulated seconds a second.")
@click.option("--seed", default=0, help="Seed of every draw.")
@click.option("--api-key", default=["simulator-key"], multiple=True, help="An accepted key; repeatable.")
@click.option(
    "--mean-seconds",
    default=41.0,
    type=click.FloatRange(0, min_open=True),
    help="Mean simulated duration of animate at 480p.",
)
@click.option("--sigma", default=0.3, type=click.FloatRange(0), help="Deviation of the duration's logarithm.")
@click.option("--length-share", default=0.8, type=_SHARE, help="Share of the duration that follows the video's length.")
@click.option("--balance-usd", type=click.FloatRange(0), help="Balance to begin with.  [default: ample]")
@click.option("--price-480p", default=0.04, type=click.FloatRange(0), help="US dollars a second at 480p.")
@click.option("--price-720p", default=0.08, type=click.FloatRange(0), help="US dollars a second at 720p.")
@click.option(
    "--result-ttl-seconds",
    default=86_400.0,
    type=click.FloatRange(0),
    help="Simulated seconds until a result expires.",
)
@click.option(
    "--video-bytes",
    default=20_000,
    type=click.IntRange(MIN_VIDEO_BYTES, MAX_VIDEO_BYTES),
    help="Size of every video.",
)
@click.option("--public-url", metavar="URL", help="Base of result URLs.  [default: where the submission was sent]")
@click.option("--failure-rate", default=0.0, type=_SHARE, help="Share of tasks that fail.")
@click.option(
    "--failure-codes",
    default='{"GENERATION_FAILED": 1}',
    callback=_parse_codes,
    metavar="JSON",
    help="Codes of those failures, each with its weight.",
)
@click.option("--content-violation-rate", default=0.0, type=_SHARE, help="Share of markers that violate.")
@click.option("--faults", default="{}", callback=_parse_faults, metavar="JSON", help="Fault switches to begin with.")
@click.option("--allow-non-loopback", is_flag=True, help="Listen, and send callbacks, beyond this machine.")
@click.option("--quiet", is_flag=True, help="Log errors only; the ready line is printed all the same.")
@click.pass_context
def main(
    context: click.Context,
    *,
    host: str,
    port: int,
    plan: str,
    cap: int | None,
    rate: int | None,
    speed: float,
    seed: int,
    api_key: tuple[str, ...],
    mean_seconds: float,
    sigma: float,
    length_share: float,
    balance_usd: float | None,
    price_480p: float,
    price_720p: float,
    result_ttl_seconds: float,
    video_bytes: int,
    public_url: str | None,
    failure_rate: float,
    failure_codes: dict[str, float],
    content_violation_rate: float,
    faults: Faults,
    allow_non_loopback: bool,
    quiet: bool,
) -> None:
    """Run the Wan 2.2 Animate API on loopback, with fault switches and ground truth."""
    if context.invoked_subcommand is not None:
        return
    cap, rate = cap or PLANS[plan].cap, rate or PLANS[plan].rate
    limits = f"cap {cap}, {rate} requests a minute, speed {speed:g}x"
    try:
        options = Options(
            cap=cap,
            rate=rate,
            speed=speed,
            seed=seed,
            api_keys=api_key,
            mean_seconds=mean_seconds,
            sigma=sigma,
            length_share=length_share,
            balance_usd=balance_usd,
            price_480p=price_480p,
            price_720p=price_720p,
            result_ttl_seconds=result_ttl_seconds,
            video_bytes=video_bytes,
            public_url=public_url and public_url.rstrip("/"),
            failure_rate=failure_rate,
            failure_codes=failure_codes,
            content_violation_rate=content_violation_rate,
            allow_non_loopback=allow_non_loopback,
        )
        serve(
            options,
            faults,
            host=host,
            port=port,
            on_ready=lambda url: click.echo(f"wanimate-simulator ready on {url} ({limits})"),
            log_level="error" if quiet else "warning",
        )
    except NonLoopbackHostError as error:
        raise click.UsageError(f"{error} (--allow-non-loopback)") from error
    except (InvalidOptionsError, OSError) as error:
        raise click.ClickException(str(error)) from error


main.add_command(check)
