"""The page of every reason: served at `/problems/{reason}`, and written to `docs/reference/reasons/`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import PathParameter

from unbusy.api import html
from unbusy.api.answers import Answer
from unbusy.api.principals import Role, allow
from unbusy.api.problems import retry
from unbusy.api.requests import Request
from unbusy.api.rfc9457 import Retry
from unbusy.api.texts import Language, ReasonText, reason_pages
from unbusy.errors import NotFound
from unbusy.reasons import Reason

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "all": "Reasons",
        "fix": "What to do",
        "again": "Trying again",
        "matter": "Whose matter",
        "caller": "whoever wrote the request",
        "payer": "the payer",
        "payee": "the payee",
        "limits": "a limit",
        "risk": "risk",
        "bank": "the bank",
        "platform": "ours",
        "same": "Safe, with the same idempotency key.",
        "new": "Safe after what is named above, as a new request with a new key.",
        "mended": "Only after the request was mended; the idempotency key may stay.",
        "never": "Does not help.",
    },
    "zh": {
        "all": "原因列表",
        "fix": "怎么办",
        "again": "能否重试",
        "matter": "与谁有关",
        "caller": "请求的编写者",
        "payer": "付款方",
        "payee": "收款方",
        "limits": "限额",
        "risk": "风控",
        "bank": "银行",
        "platform": "我方",
        "same": "可以放心用相同的幂等键重试。",
        "new": "按上述方法处理后，可以放心作为新的请求、用新的键重试。",
        "mended": "改正请求后才有用，幂等键可以不变。",
        "never": "重试没有用。",
    },
}


class ReasonView(msgspec.Struct, frozen=True):
    """A reason's page as data, in one language."""

    reason: Reason
    title: str
    explanation: str
    fix: str
    matter: str
    retry: Retry


_Name = Annotated[
    str, PathParameter(description="A reason.", schema_extra={"enum": [str(reason) for reason in Reason]})
]


@get("/problems", opt=allow(Role.anyone), tags=["reference"], summary="Every reason")
async def list_reasons(request: Request) -> Answer[list[ReasonView]]:
    """All reasons, in the language that `Accept-Language` asks for; as a page for browsers."""
    language = request.language
    if _wants_html(request):
        return html.page(_WORDS[language]["all"], _index_html(language), language)
    return Answer([_view(reason, language) for reason in Reason], headers=_headers(language))


@get("/problems/{reason:str}", opt=allow(Role.anyone), tags=["reference"], summary="What a reason means")
async def show_reason(request: Request, reason: _Name) -> Answer[ReasonView]:
    """What happened, what to do and whether to try again; `type` of every problem leads here."""
    if reason not in Reason.__members__:
        raise NotFound("there is no such reason", field="reason")
    known, language = Reason(reason), request.language
    if _wants_html(request):
        return html.page(reason_pages()[known].text(language).title, _page_html(known, language), language)
    return Answer(_view(known, language), headers=_headers(language))


HANDLERS = (list_reasons, show_reason)


def markdown() -> dict[str, str]:
    """The same pages as files: name to text, for `docs/reference/reasons/`."""
    pages = {f"{reason}.md": _page_markdown(reason) for reason in Reason}
    rows = [f"| [`{r}`]({r}.md) | {p.en.title} | {p.zh.title} |" for r, p in _in_order()]
    head = "# Reasons\n\nMade from `src/unbusy/api/texts/reasons.toml`.\n\n| reason | | |\n| --- | --- | --- |\n"
    return {"README.md": head + "\n".join(rows) + "\n", **pages}


def _in_order() -> list[tuple[Reason, Any]]:
    return [(reason, reason_pages()[reason]) for reason in Reason]


def _view(reason: Reason, language: Language) -> ReasonView:
    page = reason_pages()[reason]
    text = page.text(language)
    return ReasonView(reason, text.title, text.explanation, text.fix, page.matter, retry(reason))


def _headers(language: Language) -> dict[str, str]:
    return {"content-language": language, "vary": "accept, accept-language", "cache-control": "public, max-age=300"}


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _again(reason: Reason, words: dict[str, str]) -> str:
    page = reason_pages()[reason]
    if page.safe:
        return words["same"] if page.same_key else words["new"]
    return words["mended"] if page.same_key else words["never"]


def _page_html(reason: Reason, language: Language) -> str:
    words, page = _WORDS[language], reason_pages()[reason]
    text = page.text(language)
    parts = [
        f'<p class="quiet"><a href="/problems">{words["all"]}</a> · <code>{reason}</code></p>',
        f"<h1>{html.prose(text.title)}</h1><p>{html.prose(text.explanation)}</p>",
        f"<h2>{words['fix']}</h2><p>{html.prose(text.fix)}</p>",
        f"<h2>{words['again']}</h2><p>{_again(reason, words)}</p>",
        f"<h2>{words['matter']}</h2><p>{words[page.matter]}</p>",
    ]
    return "\n".join(parts)


def _index_html(language: Language) -> str:
    rows = [
        f'<tr><td><a href="/problems/{reason}"><code>{reason}</code></a></td>'
        f"<td>{html.prose(page.text(language).title)}</td></tr>"
        for reason, page in _in_order()
    ]
    return f"<h1>{_WORDS[language]['all']}</h1><table>{''.join(rows)}</table>"


def _page_markdown(reason: Reason) -> str:
    page = reason_pages()[reason]
    sections = [_section(reason, page.en, page.matter, "en"), _section(reason, page.zh, page.matter, "zh")]
    return f"# `{reason}`\n\n" + "\n".join(sections)


def _section(reason: Reason, text: ReasonText, matter: str, language: Language) -> str:
    words = _WORDS[language]
    return (
        f"## {text.title}\n\n{text.explanation}\n\n"
        f"- **{words['fix']}**: {text.fix}\n"
        f"- **{words['again']}**: {_again(reason, words)}\n"
        f"- **{words['matter']}**: {words[matter]}\n"
    )
