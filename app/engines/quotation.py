"""What an error's text, which is logged, may show: of an address, and of what a server says."""

from __future__ import annotations

from urllib.parse import urlsplit

_MOST_CHARACTERS = 200
_RUN = 12  # letters and digits in a row that two texts do not share by chance


def shown_address(url: str) -> str:
    """Scheme, host, port and path of a URL: neither its user and password nor its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{shown_host(url)}{parts.path}"


def shown_host(url: str) -> str:
    """Host and port of a URL, as they are written there."""
    return urlsplit(url).netloc.rpartition("@")[2]


def quotation(said: str, private: str = "") -> str:
    """A server's own words, on one line of at most 200 characters; none where they repeat ``private``.

    They do where 12 letters and digits in a row are the same, in capitals or not, or all of a shorter text.
    """
    shown = " ".join(said.split())[:_MOST_CHARACTERS]
    said_signs, private_signs = _signs(shown), _signs(private)
    run = min(_RUN, len(private_signs))
    begins = range(len(said_signs) - run + 1) if run else ()
    return "" if any(said_signs[begin : begin + run] in private_signs for begin in begins) else shown


def _signs(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
