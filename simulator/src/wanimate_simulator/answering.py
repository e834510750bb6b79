"""Answers as the fault switches let them out."""

from email.utils import formatdate
from math import ceil
from uuid import uuid4

from .answers import Answer, encoded, envelope, refusal
from .clock import Clock
from .faults import FaultBoard
from .malformed import malformed_body
from .refusals import RefusedError, server_error
from .task import AnswerLoss
from .truth import Kind, Truth


class Answering:
    """Makes answers, and spoils those that a fault strikes.

    Args:
        clock: the simulator's clock.
        board: the fault switches.
        truth: where error answers are counted.
    """

    def __init__(self, clock: Clock, board: FaultBoard, truth: Truth) -> None:
        self._clock = clock
        self._board = board
        self._truth = truth

    def accepted(self, task_id: str, *, is_lost: bool = False) -> tuple[Answer, AnswerLoss | None]:
        """Return the answer to an accepted submission, and how it was lost, if it was.

        Args:
            task_id: the task that was accepted.
            is_lost: whether the prompt asks for the loss.
        """
        if is_lost or self._board.strikes("drop_answer_rate"):
            return self.dropped(), AnswerLoss.DROPPED
        if self._board.strikes("error_5xx_after_accept_rate"):
            error = server_error(self._board.struck["error_5xx_after_accept_rate"] - 1)
            return refusal(error, (), self._board.delay_seconds()), AnswerLoss.ERROR_5XX
        return self.success({"taskId": task_id})

    def success(self, data: dict[str, object] | float) -> tuple[Answer, AnswerLoss | None]:
        """Return a documented answer or what a fault made of it, and how it was lost, if it was."""
        answer = envelope(data)
        if self._board.current.unknown_fields:
            self._board.note("unknown_fields")
            if isinstance(data, dict):
                data["queueInfo"] = {"position": 1, "region": "unknown"}
            answer["requestId"] = uuid4().hex
        body = encoded(answer)
        delay_seconds = self._board.delay_seconds()
        if self._board.strikes("bad_json_rate"):
            return Answer(200, body[: len(body) // 2], (), delay_seconds), AnswerLoss.BAD_JSON
        if self._board.strikes("malformed_body_rate"):
            body, content_type = malformed_body(self._board.struck["malformed_body_rate"] - 1, answer)
            return Answer(200, body, (), delay_seconds, content_type), AnswerLoss.MALFORMED_BODY
        return Answer(200, body, (), delay_seconds), None

    def refuse(self, kind: Kind, refused: RefusedError) -> Answer:
        """Count and return an error answer."""
        self._truth.refused(kind, refused.code, refused.cause)
        headers = self._retry_after() if refused.cause is not None else ()
        return refusal(refused, headers, self._board.delay_seconds())

    def dropped(self) -> Answer:
        """Return the closing of a connection without an answer."""
        return Answer(0, None, (), self._board.delay_seconds())

    def _retry_after(self) -> tuple[tuple[bytes, bytes], ...]:
        faults = self._board.current
        if faults.retry_after is None:
            return ()
        wait_seconds = ceil(faults.retry_after_seconds)
        if faults.retry_after == "seconds":
            return ((b"retry-after", str(wait_seconds).encode()),)
        at_unix_seconds = self._clock.unix_ms(self._clock.now_seconds()) / 1000 + wait_seconds
        return ((b"retry-after", formatdate(at_unix_seconds, usegmt=True).encode()),)
