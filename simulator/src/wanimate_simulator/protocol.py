"""HTTP that can hang up without an answer."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Name of the ASGI extension.
DROP_EXTENSION = "wanimate_simulator.drop"


class DroppableProtocol(HttpToolsProtocol):
    """Offers applications an ASGI extension that closes the connection at once.

    `scope["extensions"][DROP_EXTENSION]["drop"]()` aborts the transport; the next
    `http.disconnect` then tells that the client has been cut off. `["is_gone"]()` tells whether it is already.
    """

    def on_message_begin(self) -> None:
        """Begin a request, with the extension in its scope."""
        super().on_message_begin()
        self.scope["extensions"] = {
            DROP_EXTENSION: {"drop": self.transport.abort, "is_gone": self.transport.is_closing}
        }
