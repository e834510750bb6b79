"""Which URLs a job takes, and what is said about the others."""

from __future__ import annotations

import pytest
from wanimate.contract import AnimateJob, ReplaceJob, parse_job
from wanimate.errors import InvalidRequest

IMAGE = "https://example.com/character.png"
VIDEO = "https://example.com/motion.mp4"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.com/my pic.png", "contains a space (character 23)"),
        (" https://example.com/a.png", "contains a space (character 1)"),
        ("https://example.com/a.png\u00a0", "contains a space (U+00A0"),
        ("https://example.com/a.png\u3000", "contains a space (U+3000"),
        ("https://example.com/a.png\n", "contains a control character (U+000A, character 26)"),
        ("https://example.com/a\t.png", "contains a control character (U+0009"),
        ("https://example.com/a.png\r\nX: y", "contains a control character (U+000D"),
        ("\x00https://example.com/a.png", "contains a control character (U+0000, character 1)"),
        ("https://example.com/\x1b[31m", "contains a control character (U+001B"),
        ("https://example.com/\x85", "contains a control character (U+0085"),
        ("https://example.com/a.png\u200b", "contains an invisible character (U+200B"),
        ("\ufeffhttps://example.com/a.png", "contains an invisible character (U+FEFF, character 1)"),
        ("https://example.com/\u202egnp.a", "contains an invisible character (U+202E"),
        ("https://exam\u00adple.com/a.png", "contains an invisible character (U+00AD"),
        ("https://example.com/\u3164a.png", "contains an invisible character (U+3164"),
        ("https://example.com/a\ufe0f.png", "contains an invisible character (U+FE0F"),
        ("https://example.com/a\u2028b", "contains a line separator"),
        ("https://example.com/\ue000", "contains a private character"),
        ("https://example.com\\a.png", "contains a backslash"),
        ("https://a.com/a.png,https://b.com/b.png", "two URLs"),
        ("https://a.com/a.png?signature=x;HTTPS://b.com/b.png", "two URLs"),
        ("https://a.com/a.pnghttps://b.com/b.png", "two URLs"),
        ("https://a.com/a.png|http://b.com/b.png", "two URLs"),
        ("https://a.com,https://b.com", "two URLs"),
        ("https://https://example.com/a.png", "two URLs"),
        ("http:https://example.com/a.png", "http:// or https://"),
        ("https://example.com:abc/a.png", "port"),
        ("https://example.com:0/a.png", "port"),
        ("https://example.com:65536/a.png", "port"),
        ("https://example.com:-1/a.png", "port"),
        ("https://example.com:٨٠/a.png", "port"),
        ("https://example.com:80:90/a.png", "host is not a valid name"),
        ("https://[::1]:x/a.png", "port"),
        ("https://user:hunter2@example.com/a.png", "user name or a password"),
        ("https://user@/a.png", "user name or a password"),
        ("https:///a.png", "the host is missing"),
        ("https://", "the host is missing"),
        ("https://:443/a.png", "the host is missing"),
        ("https://?a=b", "the host is missing"),
        ("https:/example.com/a.png", "http:// or https://"),
        ("https:example.com", "http:// or https://"),
        ("//example.com/a.png", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("data:image/png;base64,AAAA", "http:// or https://"),
        ("https://example..com/a.png", "host is not a valid name"),
        ("https://.example.com/a.png", "host is not a valid name"),
        ("https://-example.com/a.png", "host is not a valid name"),
        ("https://a.com,b.com/a.png", "host is not a valid name"),
        ("https://exa%20mple.com/a.png", "host is not a valid name"),
        ("https://<host>/a.png", "host is not a valid name"),
        ("https://" + "a" * 64 + ".com/", "host is not a valid name"),
        ("https://" + "ab." * 100 + "com/", "host is not a valid name"),
        ("https://" + "é" * 64 + ".com/", "host is not a valid name"),
        ("https://[abc]/a.png", "host"),
        ("https://example.com[::1]/", "host"),
        ("https://[::1", "brackets"),
        ("https://example.com/" + "a" * 5000, "4096"),
    ],
)
def test_a_url_that_cannot_be_fetched_is_refused_with_the_reason(url: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        AnimateJob(image_url=url, video_url=VIDEO)
    assert refused.value.field == "image_url"
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://EXAMPLE.COM/A.PNG",
        "https://example.com:8443/a.png?X-Amz-Signature=ab%2Fcd%3D&x=a,b;c|d#part",
        "https://example.com:/a.png",
        "https://example.com./my%20pic.png",
        "https://user_files.example.com/a@2x.png",
        "https://localhost:8080/a.png",
        "http://127.0.0.1/a.png",
        "http://[2001:db8::1]:8080/a.png",
        "https://bücher.example/é/客.png",
        "https://proxy.example/fetch/https://example.com/a.png",
        "https://proxy.example/?url=https://example.com/a.png",
        "https://proxy.example/?urls=a%2Chttps://example.com/a.png",
        "https://example.com/ahttps:/b",
    ],
)
def test_a_url_that_can_be_fetched_is_taken_as_it_is(url: str) -> None:
    assert AnimateJob(image_url=url, video_url=VIDEO).image_url == url


@pytest.mark.parametrize(
    "end",
    [
        *(".mp4", ".MP4", ".mov", ".MoV", ".m4v", ".M4V", "%2Emp4", ".%6D%70%34", "%2emOV"),
        *(".mp4?sig=a.avi", ".mov#t=1.5", ".mp4?x=/b.avi", ".avi.mp4", ".png/motion.mp4"),
        *("", "/", ".", "?format=avi", "#.avi", ".avi/", ".avi/17", "/v1.25", ".2024", ".original", ".a-b"),
        *(".видео", ".mp4;v=1", ".mp4:large", "%2Favi", ".avi%2Fmotion", "/videos%2Fmotion.mp4", "/x.y%2Fmotion%2Emov"),
        *(".php", ".PHP?id=7", ".asp", ".aspx", ".ashx", ".jsp", ".cgi", ".do", ".action", ".pl", ".dll"),
    ],
)
def test_a_video_url_is_taken_unless_its_path_names_another_format(end: str) -> None:
    url = f"https://example.com/motion{end}"
    assert AnimateJob(image_url=IMAGE, video_url=url).video_url == url


@pytest.mark.parametrize("end", ["jpg", "JPG", "jpeg", "JpEg", "png", "PNG", "webp", "WebP", "png?v=1.gif", "a/b"])
def test_an_image_url_is_taken_in_each_format_of_the_vendor(end: str) -> None:
    url = f"https://example.com/character.{end}"
    assert ReplaceJob(image_url=url, video_url=VIDEO).image_url == url


@pytest.mark.parametrize(
    ("end", "told"),
    [
        *((f".{each}", each) for each in ("avi", "mkv", "webm", "flv", "wmv", "gif", "png", "jpg", "mp3", "zip")),
        *((".AVI", "avi"), (".WebM?token=a.mp4", "webm"), (".avi#clip.mp4", "avi"), ("%2Eavi", "avi")),
        *((".%61vi", "avi"), (".mp4.avi", "avi"), ("/motion.3gp", "3gp"), ("%2Fmotion.mkv", "mkv"), (".html", "html")),
        *((".mp4v", "mp4v"), (".m3u8", "m3u8"), (".json", "json"), (".ts", "ts")),
    ],
)
def test_a_video_in_another_format_is_refused_before_it_is_sent(end: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        AnimateJob(image_url=IMAGE, video_url=f"https://example.com/hunter2{end}")
    assert refused.value.field == "video_url"
    assert f"MP4, MOV or M4V, but this URL ends in .{told}" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("end", ["gif", "GIF", "bmp", "svg", "tiff", "avif", "heic", "mp4", "pdf", "%67if", "png.gif"])
def test_an_image_in_another_format_is_refused_before_it_is_sent(end: str) -> None:
    with pytest.raises(InvalidRequest, match="JPG, JPEG, PNG or WEBP") as refused:
        ReplaceJob(image_url=f"https://example.com/character.{end}", video_url=VIDEO)
    assert refused.value.field == "image_url"


def test_what_is_on_record_is_read_by_the_rules_of_its_time() -> None:
    old = {"type": "replace", "image_url": "https://e.com/a.gif", "video_url": "https://e.com/b.avi", "seed": 2**40}
    with pytest.raises(InvalidRequest):
        parse_job(old)
    job = parse_job(old, is_recorded=True)
    assert isinstance(job, ReplaceJob)
    assert job.to_kwargs() == old
    with pytest.raises(InvalidRequest):
        parse_job({**old, "image_url": "ftp://e.com/a.gif"}, is_recorded=True)
