"""JSON of the vendor that is not quite JSON: read as far as it can be, so that nothing paid for is lost to a detail."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

_BOM: Final = b"\xef\xbb\xbf"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    Also with a byte order mark, in UTF-16 or with bytes that are no text at all, and with what orjson refuses: lone
    surrogates, which no text that is stored or sent may hold and which become U+FFFD, and very large numbers.

    Args:
        text: The JSON.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(text.removeprefix(_BOM) if isinstance(text, bytes) else text.removeprefix("\ufeff"))
    except orjson.JSONDecodeError:
        pass
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    try:
        return _without_surrogates(json.loads(text.removeprefix("\ufeff")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(each) for name, each in value.items()}
    return value
