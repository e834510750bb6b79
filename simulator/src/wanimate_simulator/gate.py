"""What every request passes before the vendor looks at it: outages, the key and the rate."""

from .answers import Cause, DroppedError, RefusedError
from .faults import FaultBoard
from .options import Options
from .truth import Truth
from .window import SlidingWindow

#: What comes before the key. Source: the vendor's page, "Authentication".
_SCHEME = b"Bearer "


class Gate:
    """Lets a request in, or raises what it is answered instead.

    Args:
        options: the accepted keys and the rate.
        board: the fault switches.
        truth: where authenticated requests are counted.
        window_seconds: real seconds of the rate window.
    """

    def __init__(self, options: Options, board: FaultBoard, truth: Truth, window_seconds: float) -> None:
        self._authorizations = frozenset(_SCHEME + key.encode() for key in options.api_keys)
        self._rate = options.rate
        self._board = board
        self._truth = truth
        self._admitted = SlidingWindow(window_seconds)

    def enter(self, authorization: bytes, now_seconds: float) -> None:
        """Count a request and let it in.

        Args:
            authorization: the Authorization header.
            now_seconds: moment of the request, in real seconds of the clock.

        Raises:
            DroppedError: the connection is to be closed without an answer.
            RefusedError: 503, 401 or 429.
        """
        authenticated = self._knows(authorization)
        if authenticated:
            self._truth.received.record(now_seconds)
        self._break_down(now_seconds)
        if not authenticated:
            raise RefusedError(401, "Invalid or missing API Key")
        if self._board.strikes("throttle_rate"):
            raise RefusedError(429, "Rate limit exceeded: requests per minute", Cause.INJECTED)
        if self._admitted.count(now_seconds) >= self._rate:
            raise RefusedError(429, "Rate limit exceeded: requests per minute", Cause.RATE)
        self._admitted.record(now_seconds)

    def withdraw(self) -> None:
        """Give back what the request that entered last took from the rate; a 429 does not consume."""
        self._admitted.withdraw()

    def _knows(self, authorization: bytes) -> bool:
        if authorization not in self._authorizations:
            return False
        revoked = self._board.current.revoked_keys
        return not revoked or authorization.removeprefix(_SCHEME).decode() not in revoked

    def _break_down(self, now_seconds: float) -> None:
        if self._board.current.is_out(now_seconds):
            self._board.note("outage")
            raise RefusedError(503, "Service unavailable")
        if self._board.strikes("drop_before_rate"):
            raise DroppedError
        if self._board.strikes("error_5xx_rate"):
            raise RefusedError(503, "Service unavailable")
