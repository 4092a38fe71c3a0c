"""The project's own files, as the rules of the house read them."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The client is a project of its own; what holds for the wallet's code holds for its code too.
CLIENT = "sdk/python/src/unbusy_client/"


@dataclass(frozen=True)
class Breach:
    """A place where a rule is broken, as an editor can jump to it."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Source:
    """A Python file; `path` is relative to the root, such as `src/unbusy/money.py`."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Line number and text of every comment."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    @cached_property
    def docstrings(self) -> set[int]:
        """Identities of the constants that are docstrings, in the wide sense: strings nobody reads."""
        return {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def parts(self) -> tuple[str, ...]:
        """What stands between `src/unbusy/` and the end: `("ledger", "transfers.py")`."""
        if self.path.startswith(CLIENT):
            return Path(self.path.removeprefix(CLIENT)).parts
        return Path(self.path).parts[1 if self.is_test else 2 :]

    @property
    def room(self) -> str:
        """The package of `unbusy` it belongs to, or the module's own name at the top."""
        return self.parts[0].removesuffix(".py")

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function, methods and inner ones included."""
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def strings(self) -> Iterator[ast.Constant]:
        """Every string that the program uses; docstrings are left out."""
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.docstrings:
                yield node

    def breach(self, node: ast.AST | int, what: str) -> Breach:
        return Breach(self.path, node if isinstance(node, int) else getattr(node, "lineno", 1), what)


def sources() -> list[Source]:
    """Every Python file of the project, its client and its tests included."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("sdk/python/src/**/*.py"), *ROOT.glob("tests/**/*.py")]
    return [Source(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in sorted(files)]
