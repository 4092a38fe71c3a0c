"""Pages for people, whole in themselves: no script, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib import resources
from string import Template
from typing import Any

from unbusy.api.answers import Answer

_STYLE = resources.files("unbusy.api").joinpath("page.css").read_text(encoding="utf-8")

_PAGE = Template("""<!doctype html>
<html lang="$language">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
<body>
<main>
$body
</main>
</body>
</html>
""")

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "public, max-age=300",
    "vary": "accept, accept-language",
}


def page(title: str, body: str, language: str = "en") -> Answer[Any]:
    """The page, with the headers that keep it to itself. `body` is HTML, `title` text."""
    text = _PAGE.substitute(title=escape(title), language=language, style=_STYLE, body=body)
    headers = {**_HEADERS, "content-language": language}
    return Answer(text.encode(), headers=headers, media_type="text/html; charset=utf-8")


def prose(text: str) -> str:
    """Text as HTML, with what stands in `backticks` as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
