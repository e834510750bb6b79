"""Serves a simulator until a signal stops it."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn

from .app import build_app
from .faults import Faults
from .options import Options
from .sending import DroppableProtocol
from .simulator import Simulator
from .urls import is_loopback

#: Connections the kernel holds until they are accepted.
_BACKLOG = 4096
#: Real seconds for pending requests at the end.
_GRACEFUL_SECONDS = 2


class NonLoopbackHostError(ValueError):
    """The host is not a loopback address, and that is not allowed."""


class _Server(uvicorn.Server):
    """Reports when it is ready, and exits normally after SIGTERM and SIGINT."""

    def __init__(
        self, config: uvicorn.Config, simulator: Simulator, listener: socket.socket, on_ready: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._simulator = simulator
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._simulator.refuse = self.refuse
            self._on_ready(_base_url(self._listener))

    async def refuse(self, seconds: float) -> None:
        """Close the listening socket and every connection; listen again on the same port after some seconds."""
        address = self._listener.getsockname()[:2]
        for server in self.servers:
            server.close()
        self.servers.clear()
        # Bound but not listening: connections are refused, and no other process can take the port.
        self._listener = _listen(*address)
        for connection in list(self.server_state.connections):
            # Not aborted, so that a complete response is still sent.
            connection.transport.close()
        await self._simulator.hold_back(seconds)
        if self._simulator.is_closing:
            self._listener.close()
            return
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, sock=self._listener, backlog=self.config.backlog)
        self.servers.append(server)

    def _protocol(self) -> asyncio.Protocol:
        return DroppableProtocol(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._simulator.begin_closing()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # The inherited method raises the signal again at the end, which is not a clean exit.
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def serve(
    options: Options,
    faults: Faults,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    log_level: str = "warning",
) -> None:
    """Serve one simulator until SIGTERM or SIGINT.

    Args:
        options: the vendor's limits and the rendering.
        faults: the fault switches to begin with.
        host: address to listen on.
        port: port to listen on, 0 for a free one.
        on_ready: called with the base URL once requests are answered.
        log_level: the least severe messages to log.

    Raises:
        NonLoopbackHostError: the host is not loopback and the options do not allow that.
        OSError: the address cannot be listened on.
    """
    if not options.allow_non_loopback and not is_loopback(host):
        raise NonLoopbackHostError(f"{host} is not a loopback address: allow other addresses explicitly")
    _allow_many_connections()
    simulator = Simulator(options, faults)
    listener = _listen(host, port)
    config = uvicorn.Config(
        build_app(simulator),
        http=DroppableProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level=log_level,
        backlog=_BACKLOG,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    server = _Server(config, simulator, listener, on_ready)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(server.serve([listener]))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _base_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_many_connections() -> None:
    """Raise the limit of open files to its maximum: a cap of 1000 tasks means as many clients."""
    if sys.platform == "win32":
        return
    import resource  # not on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
