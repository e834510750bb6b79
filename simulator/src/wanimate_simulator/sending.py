"""Reading requests and sending answers through ASGI, and hanging up without one."""

from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .answers import Answer, Stream

#: Name of the ASGI extension.
DROP_EXTENSION = "wanimate_simulator.drop"


class DroppableProtocol(HttpToolsProtocol):
    """Offers applications an ASGI extension that closes the connection at once.

    `scope["extensions"][DROP_EXTENSION]["drop"]()` aborts the transport, `["cut"]()` closes it once what was written
    has gone out; the next `http.disconnect` then tells that the client has been cut off. `["is_gone"]()` tells whether
    it is already.
    """

    def on_message_begin(self) -> None:
        """Begin a request, with the extension in its scope."""
        super().on_message_begin()
        self.scope["extensions"] = {
            DROP_EXTENSION: {
                "drop": self.transport.abort,
                "cut": self.transport.close,
                "is_gone": self.transport.is_closing,
            }
        }


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of a lower-case name, or nothing."""
    return next((value for each, value in scope["headers"] if each == name), b"")


def base_url(scope: Scope) -> str:
    """Return the scheme and host that a request was sent to."""
    return f"{scope['scheme']}://{header(scope, b'host').decode('latin-1')}"


def is_gone(scope: Scope) -> bool:
    """Tell whether the connection of a request has closed."""
    extension = scope.get("extensions", {}).get(DROP_EXTENSION)
    return extension is not None and bool(extension["is_gone"]())


async def send_answer(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer, or close the connection if it has no body to send."""
    if answer.body is None:
        await _hang_up(scope, receive, "drop")
        return
    kind = (b"content-type", answer.content_type)
    length = (b"content-length", str(len(answer.body)).encode())
    await send({"type": "http.response.start", "status": answer.code, "headers": [kind, length, *answer.headers]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def send_stream(
    answer: Answer,
    stream: Stream,
    scope: Scope,
    receive: Receive,
    send: Send,
    hold_back: Callable[[float], Awaitable[None]],
) -> None:
    """Send an answer whose body is a stream, no faster than its pace and the client allow.

    Args:
        answer: its status and headers.
        stream: its body.
        scope: of the request.
        receive: of the request.
        send: of the request.
        hold_back: waits for some real seconds.
    """
    headers = [(b"content-type", answer.content_type), *answer.headers]
    if stream.size_bytes is not None:
        headers.append((b"content-length", str(stream.size_bytes).encode()))
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    if scope["method"] != "HEAD":
        for chunk in stream.chunks:
            if stream.bytes_per_second is not None:
                await hold_back(len(chunk) / stream.bytes_per_second)
            if is_gone(scope):
                await _disconnected(receive)
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if stream.is_cut:
            await _hang_up(scope, receive, "cut")
            return
    await send({"type": "http.response.body", "body": b""})


async def _hang_up(scope: Scope, receive: Receive, how: str) -> None:
    extension = scope.get("extensions", {}).get(DROP_EXTENSION)
    if extension is None:
        raise ConnectionResetError("the connection was dropped, as the fault switches asked for")
    extension[how]()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
