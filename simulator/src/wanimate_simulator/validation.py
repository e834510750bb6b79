"""From the bytes of a request to a typed submission, or the field that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import orjson

from .fail_codes import message_of
from .prompt_tags import REJECT
from .urls import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, has_format, is_callback_url, is_http
from .videos import stated_seconds

#: Query parameter of the image URL that names a request across repeats.
_MARKER_PARAMETER = "marker"
#: The smallest seed asks for a random one. Source: the vendor's page, "Parameters", of a newer version.
_SMALLEST_SEED, _LARGEST_SEED = -1, 2_147_483_647


class InvalidRequestError(ValueError):
    """A parameter of a request is missing or wrong; the message names it.

    Args:
        field: the parameter.
        reason: what it must be.
        fail_code: the documented failure code for it, if there is one.
    """

    def __init__(self, field: str, reason: str, fail_code: str | None = None) -> None:
        super().__init__(f"Invalid parameters: {field} {reason}")
        self._error = f"{field} {reason}"
        self._fail_code = fail_code

    @property
    def data(self) -> dict[str, object]:
        """The `data` of the answer."""
        if self._fail_code is None:
            return {"error": self._error}
        return {"error": self._error, "failCode": self._fail_code, "failMsg": message_of(self._fail_code)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A valid generation request. Source: the vendor's page, "Request Body" and "Parameters".

    Args:
        marker: name of the request, from the image URL or else a hash of its input.
        marked: whether the marker came from the image URL.
        type_: animate or replace.
        resolution: 480p or 720p.
        video_seconds: length of the video, if its URL states it.
        prompt: guidance, if any.
        callback_url: where to POST the end of the task, in callback mode.
        input_json: the input as received, with its keys sorted.
    """

    marker: str
    marked: bool
    type_: str
    resolution: str
    video_seconds: float | None
    prompt: str | None
    callback_url: str | None
    input_json: bytes


def parse_submission(body: bytes, *, allow_http_callbacks: bool = False) -> Submission:
    """Return the submission a request body asks for.

    Args:
        body: the request body.
        allow_http_callbacks: whether a callback URL may be http to any host.

    Raises:
        InvalidRequestError: the body is no JSON object or a parameter is wrong.
    """
    request = _object(_decoded(body), "body")
    request_type = _choice(request, "request_type", ("async", "callback"))
    callback_url = None
    if request_type == "callback":
        callback_url = _callback_url(request.get("callback_url"), allow_http=allow_http_callbacks)
    _choice(request, "provider", ("auto", "value", "official"), default="auto")
    input_ = _object(request.get("input"), "input")
    _choice(input_, "mode", ("standard",), prefix="input.")
    type_ = _choice(input_, "type", ("animate", "replace"), prefix="input.")
    image_url = _only_url(input_, "image_urls", IMAGE_EXTENSIONS, "INVALID_IMAGE_URL")
    video_url = _only_url(input_, "video_urls", VIDEO_EXTENSIONS)
    prompt = _prompt(input_)
    resolution = _choice(input_, "resolution", ("480p", "720p"), default="480p", prefix="input.")
    _check_seed(input_)
    # The copy is as long as its text; the encoder's own result keeps a buffer of 4 KiB alive with every task.
    input_json = memoryview(orjson.dumps(input_, option=orjson.OPT_SORT_KEYS)).tobytes()
    marker = _marker(image_url)
    return Submission(
        marker=marker or sha256(input_json).hexdigest(),
        marked=bool(marker),
        type_=type_,
        resolution=resolution,
        video_seconds=_video_seconds(video_url),
        prompt=prompt,
        callback_url=callback_url,
        input_json=input_json,
    )


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequestError("body", "is not valid JSON") from None


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidRequestError(field, "must be a JSON object")
    return value


def _choice(
    holder: Mapping[str, object],
    name: str,
    choices: tuple[str, ...],
    *,
    default: str | None = None,
    prefix: str = "",
) -> str:
    value = holder.get(name, default)
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequestError(prefix + name, f"must be {' or '.join(choices)}")
    return value


def _only_url(
    input_: Mapping[str, object], name: str, extensions: tuple[str, ...], fail_code: str | None = None
) -> str:
    urls, field = input_.get(name), f"input.{name}"
    if not isinstance(urls, list) or len(urls) != 1:
        raise InvalidRequestError(field, "must contain exactly 1 URL")
    [url] = urls
    if not isinstance(url, str) or not is_http(url):
        raise InvalidRequestError(field, "must be an http or https URL", fail_code)
    if not has_format(url, extensions):
        raise InvalidRequestError(field, f"must be {' or '.join(extensions)}", "UNSUPPORTED_FORMAT")
    return url


def _callback_url(value: object, *, allow_http: bool) -> str:
    if not isinstance(value, str) or not (is_callback_url(value) or (allow_http and is_http(value))):
        raise InvalidRequestError("callback_url", "must be a public https URL")
    return value


def _prompt(input_: Mapping[str, object]) -> str | None:
    if "prompt" not in input_:
        return None
    prompt = input_["prompt"]
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidRequestError("input.prompt", "must be non-empty text if provided", "INVALID_PROMPT")
    if REJECT in prompt:
        raise InvalidRequestError("input.prompt", "was rejected")
    return prompt


def _check_seed(input_: Mapping[str, object]) -> None:
    seed = input_.get("seed", _SMALLEST_SEED)
    if not isinstance(seed, int) or isinstance(seed, bool) or not _SMALLEST_SEED <= seed <= _LARGEST_SEED:
        raise InvalidRequestError("input.seed", f"must be an integer between {_SMALLEST_SEED} and {_LARGEST_SEED}")


def _video_seconds(video_url: str) -> float | None:
    try:
        return stated_seconds(video_url)
    except ValueError:
        raise InvalidRequestError("input.video_urls", "must state a length in seconds above 0, or none") from None


def _marker(image_url: str) -> str:
    return parse_qs(urlsplit(image_url).query).get(_MARKER_PARAMETER, [""])[0]
