"""What the documents say must be so: links lead somewhere, pointers point at code, names exist.

A rule is a function from a document to the places where it is broken; its docstring is the rule.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from posixpath import normpath

from tests.rules.source import ROOT, Breach

from unbusy import cli, settings

Rule = Callable[["Document"], Iterator[Breach]]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_IMAGE = re.compile(r"(?:src|srcset|href)=\"(?P<target>[^\"]+)\"")
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
_POINTER = re.compile(r"^(?P<path>[\w./-]+\.\w+)::(?P<symbol>[\w.]+)$")
_PATH = re.compile(r"^(src|tests|docs|sdk|\.ci)/[\w./-]+$")
_MAKE = re.compile(r"\bmake (?P<target>[a-z]+)\b")
_COMMAND = re.compile(r"(?<!from )(?<!import )\bunbusy (?P<command>[a-z]+(-[a-z]+)*)\b")
_LATER = re.compile(r"\b(TODO|FIXME|TBD|coming soon)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A fenced block; `before` is the line above its fence, where it may say why it is not run."""

    language: str
    text: str
    line: int
    before: str


@dataclass(frozen=True)
class Document:
    """A page of Markdown; `path` is relative to the root."""

    path: str
    text: str

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(
                language=found["language"],
                text=re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
                line=self.text.count("\n", 0, found.start()) + 1,
                before=self.text[: found.start()].rstrip("\n").rpartition("\n")[2].strip(),
            )
            for found in _FENCE.finditer(self.text)
        ]

    @cached_property
    def prose(self) -> str:
        """The text with its fenced blocks emptied; lines keep their numbers."""
        return _FENCE.sub(lambda found: "\n" * found.group().count("\n"), self.text)

    @cached_property
    def anchors(self) -> set[str]:
        """What `#…` may lead to, by GitHub's rule."""
        titles = (found["title"] for found in _HEADING.finditer(self.prose))
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def code(self) -> Iterator[tuple[int, str]]:
        """Line number and text of everything `quoted as code`."""
        for found in _CODE.finditer(self.prose):
            yield self.line(found), found["code"]

    def line(self, found: re.Match[str]) -> int:
        return found.string.count("\n", 0, found.start()) + 1

    def breach(self, line: int, what: str) -> Breach:
        return Breach(self.path, line, what)


def documents() -> list[Document]:
    """Every page of the project."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sdk/*/*.md")]
    return [Document(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in sorted(files)]


def links_lead_somewhere(document: Document) -> Iterator[Breach]:
    """A link inside the project leads to a file that exists, and to a heading in it."""
    for found in [*_LINK.finditer(document.prose), *_IMAGE.finditer(document.prose)]:
        target, _, anchor = found["target"].partition("#")
        if re.match(r"[a-z]+:", found["target"]):
            continue
        path = normpath(PurePosixPath(document.path).parent / target) if target else document.path
        if not (ROOT / path).exists() and path != document.path:
            yield document.breach(document.line(found), f"{found['target']} leads nowhere")
        elif anchor and anchor not in _anchors(document, path):
            yield document.breach(document.line(found), f"{path} has no heading #{anchor}")


def pointers_point_at_code(document: Document) -> Iterator[Breach]:
    """`path::symbol` names a file and something defined in it; `src/…` names a file."""
    for line, code in document.code():
        if (found := _POINTER.match(code)) and found["symbol"] not in _symbols(found["path"]):
            yield document.breach(line, f"{code} is not there")
        if _PATH.match(code) and not (ROOT / code).exists():
            yield document.breach(line, f"{code} does not exist")


def data_can_be_read(document: Document) -> Iterator[Breach]:
    """Blocks of JSON, TOML and Python can be read as what they say they are."""
    readers: dict[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads, "python": ast.parse}
    for block in document.blocks:
        try:
            readers.get(block.language, str)(block.text)
        except (ValueError, SyntaxError) as error:
            yield document.breach(block.line, f"is no {block.language}: {error}")


def blocks_name_their_language(document: Document) -> Iterator[Breach]:
    """A fenced block says what it is, for what says `console` or `python` is run."""
    for block in document.blocks:
        if not block.language:
            yield document.breach(block.line, "a block without a language; `text` for none")


def names_exist(document: Document) -> Iterator[Breach]:
    """Settings, make targets and commands that are named exist."""
    for found in re.finditer(r"\bUNBUSY_([A-Z_]+)\b", document.text):
        if found[1].lower() not in _settings():
            yield document.breach(document.line(found), f"{found[0]} is no setting")
    quoted = [*document.code(), *((block.line, block.text) for block in document.blocks)]
    for line, text in quoted:
        for found in _MAKE.finditer(text):
            if found["target"] not in _targets():
                yield document.breach(line, f"there is no `{found[0]}`")
        for found in _COMMAND.finditer(text):
            if found["command"] not in _commands():
                yield document.breach(line, f"there is no command {found['command']!r}")


def nothing_is_promised(document: Document) -> Iterator[Breach]:
    """A document says what is, not what will be."""
    for found in _LATER.finditer(document.prose):
        yield document.breach(document.line(found), found[0])


RULES: list[Rule] = [
    links_lead_somewhere,
    pointers_point_at_code,
    data_can_be_read,
    blocks_name_their_language,
    names_exist,
    nothing_is_promised,
]


def _anchors(document: Document, path: str) -> set[str]:
    if path == document.path:
        return document.anchors
    return Document(path, (ROOT / path).read_text(encoding="utf-8")).anchors if path.endswith(".md") else set()


@cache
def _symbols(path: str) -> frozenset[str]:
    """What a file defines: names, and `Class.method` for what stands in a class; SQL: its tables."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    if file.suffix == ".sql":
        return frozenset(re.findall(r"CREATE (?:TABLE|SCHEMA|FUNCTION) ([\w.]+)", file.read_text(encoding="utf-8")))
    return frozenset(_defined(ast.parse(file.read_text(encoding="utf-8")).body, ""))


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _defined(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id


@cache
def _settings() -> frozenset[str]:
    return frozenset(setting.name for setting in settings.settings())


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@cache
def _commands() -> frozenset[str]:
    return frozenset(name for name in cli.app if not name.startswith("-"))


def read(path: str) -> Document:
    """One page of the project."""
    return Document(path, Path(ROOT / path).read_text(encoding="utf-8"))
