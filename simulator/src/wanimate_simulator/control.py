"""The simulator's own endpoints: ground truth, fault switches, reset and health."""

import asyncio
from dataclasses import replace

import orjson
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from . import checks
from .faults import Faults, InvalidFaultsError
from .options import InvalidOptionsError
from .simulator import Simulator

#: Tasks in a page unless asked otherwise, and at most.
_PAGE = 1000
_LARGEST_PAGE = 10_000


class Control:
    """Answers under /simulator/, without a key, outside the rate and untouched by faults.

    Args:
        simulator: what to read and change.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[BaseRoute]:
        """Return the routes of these endpoints."""
        return [
            Route("/simulator/health", self.health, methods=["GET"]),
            Route("/simulator/summary", self.summary, methods=["GET"]),
            Route("/simulator/tasks", self.tasks, methods=["GET"]),
            Route("/simulator/videos", self.videos, methods=["GET"]),
            Route("/simulator/faults", self.read_faults, methods=["GET"]),
            Route("/simulator/faults", self.write_faults, methods=["PUT"]),
            Route("/simulator/balance", self.read_balance, methods=["GET"]),
            Route("/simulator/balance", self.write_balance, methods=["PUT"]),
            Route("/simulator/reset", self.reset, methods=["POST"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Tell that the simulator runs, and for how many real seconds since the start or the last reset."""
        return _json({"status": "ok", "elapsed_seconds": self._simulator.clock.now_seconds()})

    async def summary(self, _request: Request) -> Response:
        """Tell the ground truth's totals."""
        return _json(self._simulator.summary())

    async def tasks(self, request: Request) -> Response:
        """Tell a page of tasks, in the order they were accepted."""
        try:
            offset, limit = _page(request)
        except ValueError as error:
            return _error(str(error))
        return _json(self._simulator.vendor.tasks(offset, limit))

    async def videos(self, request: Request) -> Response:
        """Tell a page of the videos that there are: what a copy must be, and how each was downloaded."""
        try:
            offset, limit = _page(request)
        except ValueError as error:
            return _error(str(error))
        total, page = self._simulator.vendor.videos(offset, limit)
        hashes = await asyncio.to_thread(lambda: [file.sha256() for file, _ in page])
        videos = [{**listed, "sha256": sha256} for (_, listed), sha256 in zip(page, hashes, strict=True)]
        return _json({"total": total, "offset": offset, "limit": limit, "videos": videos})

    async def read_faults(self, _request: Request) -> Response:
        """Tell the position of every fault switch."""
        return _json(self._simulator.board.current.as_json())

    async def write_faults(self, request: Request) -> Response:
        """Set every fault switch: as the JSON says, or off."""
        try:
            faults = Faults.parse(orjson.loads(await request.body()))
        except (orjson.JSONDecodeError, InvalidFaultsError) as error:
            return _error(str(error))
        if faults.refuse_for_seconds and self._simulator.refuse is None:
            return _error("refuse_for_seconds requires a listening simulator; this one runs inside another program")
        self._simulator.set_faults(faults)
        answer = await self.read_faults(request)
        if faults.refuse_for_seconds:
            # The answer goes out before its connection closes with all the others.
            answer.headers["connection"] = "close"
            answer.background = BackgroundTask(self._refuse, faults.refuse_for_seconds)
        return answer

    async def _refuse(self, seconds: float) -> None:
        board = self._simulator.board
        board.note("refuse_for_seconds")
        if self._simulator.refuse is not None:
            await self._simulator.refuse(seconds)
        board.current = replace(board.current, refuse_for_seconds=0.0)

    async def read_balance(self, _request: Request) -> Response:
        """Tell what is left on the account and what was spent, in US dollars."""
        account = self._simulator.vendor.account
        return _json({"balance_usd": account.balance_usd, "spent_usd": account.spent_usd})

    async def write_balance(self, request: Request) -> Response:
        """Set what is left on the account, in US dollars; null for more than any run spends."""
        try:
            wanted = orjson.loads(await request.body())
            if not isinstance(wanted, dict) or set(wanted) != {"balance_usd"}:
                return _error("the body must be a JSON object with only balance_usd")
            balance_usd = wanted["balance_usd"]
            self._simulator.vendor.account.set_balance(None if balance_usd is None else checks.amount(balance_usd))
        except orjson.JSONDecodeError as error:
            return _error(str(error))
        except ValueError as error:
            return _error(f"balance_usd {error}")
        return await self.read_balance(request)

    async def reset(self, request: Request) -> Response:
        """Forget everything and begin again, with the options the JSON changes."""
        try:
            changes = orjson.loads(await request.body() or b"{}")
            if not isinstance(changes, dict):
                return _error("changes must be a JSON object")
            await self._simulator.reset(changes)
        except (orjson.JSONDecodeError, InvalidOptionsError) as error:
            return _error(str(error))
        return await self.summary(request)


def _page(request: Request) -> tuple[int, int]:
    """Return the offset and the limit that a request asks for.

    Raises:
        ValueError: it asks for none that there are.
    """
    try:
        offset = int(request.query_params.get("offset", 0))
        limit = int(request.query_params.get("limit", _PAGE))
    except ValueError:
        raise ValueError("offset and limit must be integers") from None
    if offset < 0 or not 0 <= limit <= _LARGEST_PAGE:
        raise ValueError(f"offset must be at least 0 and limit between 0 and {_LARGEST_PAGE}")
    return offset, limit


def _json(content: object, status_code: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code, media_type="application/json")


def _error(message: str) -> Response:
    return _json({"error": message}, 400)
