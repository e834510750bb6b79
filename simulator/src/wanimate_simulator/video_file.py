"""The MP4 file that a successful task results in: the same bytes for the same task, others for each task."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256, shake_128
from struct import pack

#: Length of the repeated content. A prime, so that a copy shifted by a power of two differs.
_BLOCK_BYTES = 65_521
#: What a header of the file has room for, in milliseconds.
_LONGEST_MS = 2**32 - 1
_BOX_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class VideoFile:
    """An MP4 file of a length without any track; its bytes are made as they are read.

    Args:
        task_id: the task whose content it has.
        seconds: how long the video is said to be.
        size_bytes: size of the whole file, at least 1000.
    """

    task_id: str
    seconds: float
    size_bytes: int

    @property
    def etag(self) -> str:
        """The strong entity tag, with its quotes."""
        return f'"{sha256(self.task_id.encode()).hexdigest()[:32]}"'

    def chunks(self, start: int, stop: int, most_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, but not including, `stop`, at most so many at once."""
        head = self._head()
        block = self._block(min(self.size_bytes - len(head), _BLOCK_BYTES))
        while start < stop:
            source, at = (head, start) if start < len(head) else (block, (start - len(head)) % len(block))
            chunk = source[at : at + min(stop - start, most_bytes)]
            yield chunk
            start += len(chunk)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, in hexadecimal."""
        return _sha256(self)

    def _head(self) -> bytes:
        """Return the file up to the content of its `mdat` box."""
        scale = 1000
        identity = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
        header = (
            pack(">IIIII", 0, 0, 0, scale, min(round(self.seconds * scale), _LONGEST_MS))
            + pack(">IH10x", 0x10000, 0x100)
            + identity
        )
        movie = _box(b"moov", _box(b"mvhd", header + bytes(24) + pack(">I", 1)))
        boxes = _box(b"ftyp", b"isom" + bytes(4) + b"isommp42") + movie
        return boxes + pack(">I", self.size_bytes - len(boxes)) + b"mdat"

    def _block(self, size_bytes: int) -> bytes:
        return shake_128(self.task_id.encode()).digest(size_bytes)


@lru_cache(maxsize=10_000)
def _sha256(file: VideoFile) -> str:
    digest = sha256()
    for chunk in file.chunks(0, file.size_bytes):
        digest.update(chunk)
    return digest.hexdigest()


def _box(kind: bytes, body: bytes) -> bytes:
    return pack(">I", _BOX_HEADER_BYTES + len(body)) + kind + body
