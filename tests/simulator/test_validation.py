"""Each parameter is checked as the vendor's document describes it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from wanimate_simulator.validation import InvalidRequestError, parse_submission

RequestFor = Callable[..., dict[str, Any]]


def change(request: dict[str, Any], path: str, value: object) -> bytes:
    *parents, last = path.split(".")
    holder = request
    for parent in parents:
        holder = holder[parent]
    if value is ...:
        holder.pop(last, None)
    else:
        holder[last] = value
    return json.dumps(request).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("request_type", ...),
        ("request_type", "sync"),
        ("request_type", None),
        ("provider", "cheapest"),
        ("provider", None),
        ("input", ...),
        ("input", []),
        ("input.mode", ...),
        ("input.mode", "pro"),
        ("input.type", ...),
        ("input.type", "dance"),
        ("input.type", ["animate"]),
        ("input.image_urls", ...),
        ("input.image_urls", []),
        ("input.image_urls", "https://example.com/a.png"),
        ("input.image_urls", ["https://example.com/a.png", "https://example.com/b.png"]),
        ("input.image_urls", ["ftp://example.com/a.png"]),
        ("input.image_urls", ["a.png"]),
        ("input.image_urls", ["https://"]),
        ("input.image_urls", ["https://example.com:99999/a.png"]),
        ("input.image_urls", ["https://[broken/a.png"]),
        ("input.image_urls", ["https://example.com/a.gif"]),
        ("input.image_urls", ["https://example.com/a.mp4"]),
        ("input.image_urls", ["data:image/png;base64,AAAA"]),
        ("input.image_urls", [7]),
        ("input.video_urls", ...),
        ("input.video_urls", []),
        ("input.video_urls", ["https://example.com/a.mp4", "https://example.com/b.mp4"]),
        ("input.video_urls", ["file:///a.mp4"]),
        ("input.video_urls", ["https://example.com/a.webm"]),
        ("input.video_urls", ["https://example.com/A.AVI?name=b.mp4"]),
        ("input.video_urls", ["https://example.com/a%2Emkv"]),
        ("input.prompt", ""),
        ("input.prompt", "  "),
        ("input.prompt", None),
        ("input.prompt", 5),
        ("input.resolution", "1080p"),
        ("input.resolution", 480),
        ("input.seed", -2),
        ("input.seed", 1.0),
        ("input.seed", True),
        ("input.seed", "1"),
        ("input.seed", 2**31),
        ("input.seed", None),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(request_for: RequestFor, path: str, value: object) -> None:
    with pytest.raises(InvalidRequestError, match=f"^Invalid parameters: {path} "):
        parse_submission(change(request_for(), path, value))


@pytest.mark.parametrize(
    "callback_url",
    [..., None, "", "ftp://example.com/callback", 3, "http://example.com/callback", "http://127.0.0.1.example.com/"],
)
def test_a_callback_request_without_an_https_callback_url_is_refused(
    request_for: RequestFor,
    callback_url: object,
) -> None:
    body = change(request_for(callback_url="https://example.com/callback"), "callback_url", callback_url)

    with pytest.raises(InvalidRequestError, match=r"^Invalid parameters: callback_url "):
        parse_submission(body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"request_type": NaN}'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"^Invalid parameters: body "):
        parse_submission(body)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provider", "auto"),
        ("provider", "value"),
        ("provider", "official"),
        ("callback_url", "not looked at in async mode"),
        ("input.type", "replace"),
        ("input.resolution", "480p"),
        ("input.resolution", "720p"),
        ("input.seed", -1),
        ("input.seed", 0),
        ("input.seed", 2**31 - 1),
        ("input.prompt", "turn around"),
        ("input.image_urls", ["http://example.com/a.png"]),
        ("input.image_urls", ["https://example.com/A.JPEG?b=c.gif"]),
        ("input.image_urls", ["https://example.com/images/7"]),
        ("input.image_urls", ["https://example.com/v1.2/image.php"]),
        ("input.video_urls", ["https://example.com/a.MOV"]),
        ("input.video_urls", ["https://example.com/a.m4v#b.avi"]),
        ("input.video_urls", ["https://example.com"]),
        ("provider", ...),
        ("something_new", 1),
    ],
)
def test_every_documented_value_is_accepted(request_for: RequestFor, path: str, value: object) -> None:
    parse_submission(change(request_for(), path, value))


def test_the_resolution_defaults_to_480p(request_for: RequestFor) -> None:
    assert parse_submission(json.dumps(request_for()).encode()).resolution == "480p"


def test_the_marker_is_the_image_urls_query_parameter(request_for: RequestFor) -> None:
    request = request_for(None, image_urls=["https://example.com/a.png?size=2&marker=job%2017"])

    submission = parse_submission(json.dumps(request).encode())

    assert submission.marker == "job 17"
    assert submission.marked


def test_without_a_marker_the_same_input_in_any_key_order_gets_the_same_marker(request_for: RequestFor) -> None:
    request = request_for(None)
    shuffled = {**request, "input": dict(reversed(request["input"].items()))}
    other = request_for(None, prompt="another")

    first, second, third = (parse_submission(json.dumps(each).encode()) for each in (request, shuffled, other))

    assert first.marker == second.marker
    assert first.marker != third.marker
    assert not first.marked


def test_a_refusal_reaches_the_client_as_a_400_that_names_the_field(bench: Callable[..., Any]) -> None:
    answer = bench().submit(seed=-5)

    assert answer.code == 400
    assert json.loads(answer.body) == {
        "code": 400,
        "message": "Invalid parameters: input.seed must be an integer between -1 and 2147483647",
        "data": {"error": "input.seed must be an integer between -1 and 2147483647"},
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image_urls": ["ftp://example.com/a.png"]}, "INVALID_IMAGE_URL"),
        ({"image_urls": ["https://example.com/a.gif"]}, "UNSUPPORTED_FORMAT"),
        ({"video_urls": ["https://example.com/a.avi"]}, "UNSUPPORTED_FORMAT"),
        ({"prompt": " "}, "INVALID_PROMPT"),
    ],
)
def test_a_refusal_carries_the_documented_failure_code(
    bench: Callable[..., Any], changes: dict[str, Any], code: str
) -> None:
    data = json.loads(bench().submit(**changes).body)["data"]

    assert data["failCode"] == code
    assert data["failMsg"]
    assert data["error"].startswith(f"input.{next(iter(changes))} must be ")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/c", "http://localhost/c", "http://[::1]/c", "https://a.example/c"]
)
def test_callbacks_in_clear_are_for_this_machine_only(request_for: RequestFor, url: str) -> None:
    body = json.dumps(request_for(callback_url=url)).encode()

    assert parse_submission(body).callback_url == url


def test_callbacks_in_clear_go_anywhere_if_allowed(bench: Callable[..., Any]) -> None:
    url = "http://callbacks:8000/c"

    assert bench().submit(callback_url=url).code == 400
    assert bench(allow_non_loopback=True).submit(callback_url=url).code == 200


def test_a_prompt_with_the_reject_tag_is_refused(request_for: RequestFor) -> None:
    with pytest.raises(InvalidRequestError, match=r"input\.prompt was rejected"):
        parse_submission(change(request_for(), "input.prompt", "please [reject] this"))
