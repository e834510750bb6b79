"""The web application: the vendor's endpoints, the results and the simulator's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from .answers import Answer, encoded, envelope
from .control import Control
from .results import RESULTS_PATH, ResultRequest
from .sending import base_url, header, is_gone, read_body, send_answer, send_stream
from .simulator import Simulator
from .task import AnswerLoss

#: Source: the vendor's page, "Endpoints"; the third, its account pages.
SUBMIT_PATH = "/api/v1/generateTask/wan-2-2-animate"
STATUS_PATH = "/api/v1/statusTask/wan-2-2-animate"
BALANCE_PATH = "/api/v1/apikeys/current-balance"


class SubmitEndpoint:
    """Create generation task."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read_body(receive)
        answer = self._simulator.vendor.submit(header(scope, b"authorization"), body, base_url(scope))
        if answer.delay_seconds:
            await self._simulator.hold_back(answer.delay_seconds)
        task = answer.accepted
        if task is not None and task.answer_lost is None and is_gone(scope):
            task.answer_lost = AnswerLoss.GONE
        await send_answer(answer, scope, receive, send)


class StatusEndpoint:
    """Query task status."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        task_id = _task_id(scope["query_string"])
        answer = self._simulator.vendor.status(header(scope, b"authorization"), task_id)
        if answer.delay_seconds:
            await self._simulator.hold_back(answer.delay_seconds)
        await send_answer(answer, scope, receive, send)


class BalanceEndpoint:
    """Query the account's balance."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = self._simulator.vendor.balance(header(scope, b"authorization"))
        if answer.delay_seconds:
            await self._simulator.hold_back(answer.delay_seconds)
        await send_answer(answer, scope, receive, send)


class ResultEndpoint:
    """Fetch the video of a task."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = ResultRequest(scope["method"] == "HEAD", header(scope, b"range"), header(scope, b"if-range"))
        answer = self._simulator.vendor.result(scope["path_params"]["name"], request)
        if answer.delay_seconds:
            await self._simulator.hold_back(answer.delay_seconds)
        if answer.stream is None:
            await send_answer(answer, scope, receive, send)
        else:
            await send_stream(answer, answer.stream, scope, receive, send, self._simulator.hold_back)


def build_app(simulator: Simulator) -> Router:
    """Return the ASGI application of a simulator."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        await simulator.close()

    # A bare Router: no answer needs the application's middleware, and polling is the busiest path.
    return Router(
        [
            Route(STATUS_PATH, StatusEndpoint(simulator), methods=["GET"]),
            Route(SUBMIT_PATH, SubmitEndpoint(simulator), methods=["POST"]),
            Route(BALANCE_PATH, BalanceEndpoint(simulator), methods=["GET"]),
            Route(RESULTS_PATH + "{name}", ResultEndpoint(simulator), methods=["GET"]),
            *Control(simulator).routes(),
        ],
        default=_not_found,
        lifespan=lifespan,
        redirect_slashes=False,
    )


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    body = encoded(envelope(None, code=404, message="not found"))
    await send_answer(Answer(404, body), scope, receive, send)


def _task_id(query: bytes) -> str | None:
    values = parse_qs(query.decode("latin-1")).get("taskId")
    return values[0] if values else None
