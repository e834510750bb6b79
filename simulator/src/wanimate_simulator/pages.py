"""Pages that something in front of the vendor's API answers, without the vendor's envelope."""

from http import HTTPStatus

#: Their content type.
HTML = b"text/html"


def gateway_page(status: int) -> bytes:
    """Return the page of a proxy that got no answer from the API."""
    return _page(f"{status} {_phrase(status)}", "Please try again in a moment.")


def waf_page(status: int) -> bytes:
    """Return the page of a web application firewall that let a request go no further."""
    return _page(f"{status} {_phrase(status)}", "Sorry, you have been blocked. Request id: 8f2c6e01d4b7a953.")


def _page(title: str, text: str) -> bytes:
    html = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    return html.encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
