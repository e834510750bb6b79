"""Where the videos of a finished task are, in whatever shape the vendor says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .lenient import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Names under which the URL of a video stands in an object, in lower case and without underscores.
_URL_NAMES: Final = ("resulturls", "resulturl", "videourls", "videourl", "urls", "url")
_SCHEMES: Final = ("https://", "http://")
_DEEPEST: Final = 5


def result_urls(data: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the URLs of a finished task's videos, and how they depart from the vendor's document, if they do.

    Documented is a text, `resultJson`, whose JSON has a list of URLs named `resultUrls` (vendor document, "Status
    Response Fields"). A result that was paid for is not lost because it comes as an object, encoded twice, or with its
    URLs in objects.

    Args:
        data: The `data` of the answer.
    """
    given = data.get("resultJson")
    documented = _documented(given)
    if documented:
        return documented, ""
    urls = tuple(dict.fromkeys(_urls(given, _DEEPEST))) or tuple(dict.fromkeys(_urls_named(data, _DEEPEST)))
    if not urls:
        return (), ""
    if "resultJson" not in data:
        return urls, "the videos are not in resultJson"
    return urls, f"resultJson is {_shape(given)}, or its resultUrls are not a list of texts"


def _documented(given: Any) -> tuple[str, ...]:
    result = _parsed(given) if isinstance(given, str) else None
    urls = result.get("resultUrls") if isinstance(result, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) and url.strip() for url in urls):
        return ()
    return tuple(urls)


def _urls(value: Any, depth: int) -> Iterator[str]:
    """Yield the URLs in a value that is, or holds, those of videos."""
    if depth == 0:
        return
    if isinstance(value, str):
        text = value.strip()
        if text.lower().startswith(_SCHEMES) and not any(character.isspace() for character in text):
            yield text
        elif text[:1] in {"{", "[", '"'}:
            yield from _urls(_parsed(text), depth - 1)
    elif isinstance(value, list):
        for each in value:
            yield from _urls(each, depth - 1)
    elif isinstance(value, dict):
        yield from _urls_named(value, depth - 1)


def _urls_named(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the URLs under the first name that has any."""
    by_name = {str(name).replace("_", "").lower(): each for name, each in value.items()}
    for name in _URL_NAMES:
        found = list(_urls(by_name.get(name), depth))
        if found:
            yield from found
            return


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return "a text of another shape"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "no text"
