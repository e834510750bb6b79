"""Whether a body is a whole video, found out while it passes by: nothing of it is kept in memory."""

from __future__ import annotations

import hashlib
from typing import Final

from .failures import NotAVideo, TooLarge, Truncated

#: What Matroska and WebM begin with (RFC 8794, section 11.1).
_EBML: Final = b"\x1aE\xdf\xa3"
_MAGIC_BYTES: Final = 12
#: A box begins with its size (32 bits) and its type; size 1 means that 64 bits of size follow, size 0 that it reaches
#: to the end of the file (ISO/IEC 14496-12, section 4.2).
_SHORT_HEADER, _LONG_HEADER = 8, 16
_TYPES_BY_BRAND: Final = {b"qt  ": "video/quicktime", b"M4V ": "video/x-m4v"}


class VideoCheck:
    """Checks the bytes of one body in their order.

    Args:
        max_bytes: The largest video that is accepted.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._magic = b""
        self._boxes = _Boxes()
        #: How many bytes there should be, where the sender has declared it.
        self.length: int | None = None
        #: How many bytes there were so far.
        self.size_bytes = 0
        #: What the body is, by its first bytes; empty while there are too few.
        self.content_type = ""

    @property
    def sha256(self) -> str:
        """The digest of what has passed, in hexadecimal."""
        return self._sha256.hexdigest()

    def declare(self, length: int | None) -> None:
        """Note how many bytes the sender has declared.

        Raises:
            TooLarge: It is more than is accepted.
        """
        self.length = length
        if length is not None and length > self._max_bytes:
            raise self._too_large(length)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            NotAVideo: The body is no video.
            TooLarge: There are more bytes than are accepted.
        """
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise self._too_large(self.size_bytes)
        self._sha256.update(data)
        if not self.content_type:
            self._magic += data[: _MAGIC_BYTES - len(self._magic)]
            if len(self._magic) == _MAGIC_BYTES:
                self.content_type = _type_of(self._magic)
        if not self._magic.startswith(_EBML):
            self._boxes.feed(data)

    def finish(self) -> None:
        """Raise unless what has passed is a whole video.

        Raises:
            NotAVideo: There are too few bytes to be one.
            Truncated: Something is missing.
        """
        if not self.content_type:
            raise NotAVideo(f"the body is no video: it has {self.size_bytes} bytes")
        if self.length is not None and self.size_bytes != self.length:
            raise Truncated(f"the body ended after {self.size_bytes} of {self.length} bytes")
        tells_its_end = not self._magic.startswith(_EBML) and self._boxes.finish()
        if not tells_its_end and self.length is None:
            raise Truncated("neither the headers nor the video say how long it is, so its end may be missing")

    def _too_large(self, size: int) -> TooLarge:
        return TooLarge(
            f"the video has {size} bytes or more, allowed are {self._max_bytes}: raise WANIMATE_KEEP_MAX_BYTES"
        )


class _Boxes:
    """Walks the top-level boxes of an ISO base media file (MP4, MOV, M4V)."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._reaches_end = False
        self._seen: set[bytes] = set()

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self._reaches_end:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            size = _LONG_HEADER if self._header[:4] == b"\0\0\0\1" else _SHORT_HEADER
            part = data[at : at + size - len(self._header)]
            self._header += part
            at += len(part)
            if len(self._header) == size:
                self._enter(size)

    def finish(self) -> bool:
        """Raise `Truncated` if something is missing; return whether the boxes tell where the file ends."""
        if self._left or self._header:
            raise Truncated("the body ended in the middle of the video")
        missing = {b"moov", b"mdat"} - self._seen
        if missing:
            raise Truncated(f"the video has no {b' and no '.join(sorted(missing)).decode()} box")
        return not self._reaches_end

    def _enter(self, header_bytes: int) -> None:
        size, kind = int.from_bytes(self._header[:4], "big"), self._header[4:8]
        if size == 1:
            if header_bytes == _SHORT_HEADER:
                return
            size = int.from_bytes(self._header[8:], "big")
        elif size == 0:
            self._reaches_end = True
            size = header_bytes
        if size < header_bytes or not kind.isascii():
            raise NotAVideo("the body is no video, or is damaged: it has a box with an impossible header")
        self._seen.add(kind)
        self._left, self._header = size - header_bytes, b""


def _type_of(magic: bytes) -> str:
    if magic.startswith(_EBML):
        return "video/webm"
    if magic[4:8] == b"ftyp":
        return _TYPES_BY_BRAND.get(magic[8:12], "video/mp4")
    raise NotAVideo("the body is no video: it begins neither as MP4 or MOV nor as WebM does")
