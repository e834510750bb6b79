"""Checks every request before it is processed: outages, a firewall, the key, the rate and the account."""

from .faults import FaultBoard
from .options import Options
from .prompt_tags import WAF
from .refusals import (
    Cause,
    DroppedError,
    RefusedError,
    blocked,
    forbidden,
    out_of_credit,
    server_error,
    unavailable,
)
from .truth import Truth
from .window import SlidingWindow

#: What comes before the key. Source: the vendor's page, "Authentication".
_SCHEME = b"Bearer "
#: A firewall checks the bytes of any sender.
_WAF_TAG = WAF.encode()


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

    def enter(self, authorization: bytes, now_seconds: float, *, submission: bytes | None = None) -> None:
        """Count a request and let it in.

        Args:
            authorization: the Authorization header.
            now_seconds: moment of the request, in real seconds of the clock.
            submission: the body, if the request is a submission.

        Raises:
            DroppedError: the connection is to be closed without an answer.
            RefusedError: the request is answered with an error.
        """
        authenticated = self._knows(authorization)
        if authenticated:
            self._truth.received.record(now_seconds)
        self._break_down(now_seconds)
        if submission is not None:
            self._pass_firewall(submission)
        if not authenticated:
            raise RefusedError(401, "Invalid or missing API Key")
        if self._board.strikes("throttle_rate"):
            raise RefusedError(429, "Rate limit exceeded: requests per minute", Cause.INJECTED)
        if self._admitted.count(now_seconds) >= self._rate:
            raise RefusedError(429, "Rate limit exceeded: requests per minute", Cause.RATE)
        self._admitted.record(now_seconds)
        if submission is not None:
            self._check_account()

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
            raise unavailable(as_page=not self._board.current.outage_in_envelope)
        if self._board.strikes("drop_before_rate"):
            raise DroppedError
        if self._board.strikes("error_5xx_rate"):
            raise server_error(self._board.struck["error_5xx_rate"] - 1)
        if self._board.strikes("unavailable_rate"):
            raise unavailable(as_page=False)

    def _pass_firewall(self, submission: bytes) -> None:
        if self._board.current.waf:
            self._board.note("waf")
            raise blocked(self._board.current.waf_status)
        if _WAF_TAG in submission:
            raise blocked(self._board.current.waf_status)

    def _check_account(self) -> None:
        if self._board.current.forbidden:
            self._board.note("forbidden")
            raise forbidden(self._board.current.forbidden_message)
        if self._board.current.out_of_credit:
            self._board.note("out_of_credit")
            raise out_of_credit()
