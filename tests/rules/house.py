"""The rules of the house that the linter, the type checker and the import contracts cannot say.

A rule is a function from a file to the places where it is broken; its docstring is the rule. The
exceptions of all of them stand at the top, each with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from tests.rules.source import Breach, Source

Rule = Callable[[Source], Iterator[Breach]]

# Files outside `db/` that hold SQL. `sql.py` of any room needs no entry.
SQL_HOMES = {
    "src/unbusy/funding/proofs.py": "what `check` asks, of payments, transits and the ledger",
    "src/unbusy/ledger/proofs.py": "what `check` asks; beside the hot path it would hide that",
    "src/unbusy/payments/proofs.py": "what `check` asks, of both rooms at once",
    "src/unbusy/statements/proofs.py": "what `check` asks, of statements, transits and the ledger",
    "src/unbusy/transits/proofs.py": "what `check` asks, of transits and the ledger",
    "src/unbusy/verification/proofs.py": "what `check` asks, of verifications, bank accounts and transits",
}

# The composition roots. They put every room's routes together and start the database itself, so
# they alone may import a room's `routes` and any file of `db`; anybody else asks the package.
EDGES = {"app", "bench", "cli", "demo", "drill", "gateway", "supervisor", "worker"}

# Files that may ask the machine for time or chance.
ORIGINS = {
    "src/unbusy/clock.py": "the machine's clock",
    "src/unbusy/ids.py": "the machine's chance, passed in as an argument",
    "src/unbusy/api/streams.py": "spreads the readers of a stream that ends; nothing is decided by it",
}

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
# A method this short is read as fast as its docstring.
SHORT_METHOD = 5

_SQL = re.compile(
    r"\b(SELECT\s.+\sFROM\b|SELECT\s+\w+\(|INSERT\s+INTO\b|UPDATE\s+[\w.]+\s+SET\b|UPDATE\s+[\w.]+\s+\w+\s+SET\b"
    r"|DELETE\s+FROM\b|(CREATE|ALTER|DROP)\s+(TABLE|SCHEMA|INDEX|ROLE|DATABASE|FUNCTION)\b|FOR\s+UPDATE\b)",
    re.IGNORECASE | re.DOTALL,
)
_SQL_WORD = re.compile(
    r"\b(select|insert into|update|delete from|from|where|returning|order by|group by|join|values|on conflict)\b"
)
_SQL_ASIDE = re.compile(r"'[^']*'|--[^\n]*|\"[^\"]*\"")
_VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
_VAGUE_CLASS = re.compile(r"(Manager|Helper|Helpers|Utils|Util)$")
_SILENCER = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*(ignore|basic|off)|pragma:\s*no\s*cover)")
_SILENCER_WITH_REASON = re.compile(
    r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|(type|pyright):\s*ignore\[[\w-]+(,\s*[\w-]+)*\]"
    r"|pragma:\s*no\s*cover)\s+-\s+\S.{4,}"
)
_LATER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_MONEY_NAME = re.compile(r"(^|_)(amount|amounts|balance|posted|held|available|refundable|refunded|spent)(_|$)")
_BUSY = re.compile(r"(?<!never )\bbusy\b|try again later|繁忙|稍后再试|稍后重试", re.IGNORECASE)
_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
_CHANCES = {"uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "uuid.uuid7", "uuid7"}


def sql_has_its_home(source: Source) -> Iterator[Breach]:
    """SQL stands in `sql.py` and in `db/`, nowhere else."""
    if source.is_test or source.room == "db" or source.parts[-1] == "sql.py" or source.path in SQL_HOMES:
        return
    for string in source.strings():
        if _SQL.search(str(string.value)):
            yield source.breach(string, "SQL outside sql.py and db/")


def sql_shouts(source: Source) -> Iterator[Breach]:
    """The keywords of SQL are in capitals, so that the eye tells them from names."""
    for string in () if source.is_test else source.strings():
        text = _SQL_ASIDE.sub("", str(string.value))
        # A statement in any case: what is left out is prose that happens to say "from".
        if _SQL.search(text) and (found := _SQL_WORD.search(text)):
            yield source.breach(string, f"SQL keyword {found.group()!r} in small letters")


def packages_have_a_front_door(source: Source) -> Iterator[Breach]:
    """Code outside a package imports the package, never one of its files."""
    if source.is_test:
        return
    for node in source.nodes:
        for module in _imported(node):
            _, room, file, *_ = [*module.split("."), "", ""]
            is_side_door = source.room in EDGES and (room == "db" or file == "routes")
            if file and room != source.room and not is_side_door:
                yield source.breach(node, f"imports {module}; ask unbusy.{room} for it")


def names_say_something(source: Source) -> Iterator[Breach]:
    """No module or class is called utils, helpers, common or manager: such a name says nothing."""
    for part in source.parts:
        if part.removesuffix(".py") in _VAGUE:
            yield source.breach(1, f"a file or folder called {part}")
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and _VAGUE_CLASS.search(node.name):
            yield source.breach(node, f"a class called {node.name}")


def functions_fit_a_screen(source: Source) -> Iterator[Breach]:
    """A function has at most sixty lines; its parts deserve names."""
    for function in source.functions():
        if _length(function) > LONGEST_FUNCTION:
            yield source.breach(function, f"{function.name} has {_length(function)} lines")


def files_stay_short(source: Source) -> Iterator[Breach]:
    """A file has at most five hundred lines."""
    if (length := source.text.count("\n")) > LONGEST_FILE:
        yield source.breach(1, f"{length} lines")


def silence_gives_a_reason(source: Source) -> Iterator[Breach]:
    """A check that is silenced names the check, and after a dash the reason, on the same line."""
    for line, comment in source.comments:
        if _SILENCER.search(comment) and not _SILENCER_WITH_REASON.search(comment):
            yield source.breach(line, f"silenced without a reason: {comment}")


def nothing_is_left_for_later(source: Source) -> Iterator[Breach]:
    """What is not done is an issue, never a comment."""
    for line, comment in source.comments:
        if _LATER.search(comment):
            yield source.breach(line, comment)


def public_things_are_explained(source: Source) -> Iterator[Breach]:
    """Modules, public functions and public classes have a docstring.

    A class of nothing but constants (a leaf of an exception tree, an enum) may be left to its
    name, a method to what it overrides or to its few lines, and a statement in `sql.py` to its SQL.
    """
    if source.is_test or source.parts[-1] == "sql.py":
        return
    if not ast.get_docstring(source.tree) and source.text.strip():
        yield source.breach(1, "a module without a docstring")
    for node in source.tree.body:
        yield from _unexplained(source, node)


def time_and_chance_are_passed_in(source: Source) -> Iterator[Breach]:
    """Nothing asks the machine for the time of day, a random id or a random number by itself.

    What is passed in can be replayed from a seed.
    """
    if source.is_test or source.path in ORIGINS:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call):
            name = ".".join(ast.unparse(node.func).split(".")[-2:])
            if name in _CLOCKS | _CHANCES or (name.startswith("random.") and name != "random.Random"):
                yield source.breach(node, f"{name}() instead of a clock, ids or a generator passed in")


def money_is_never_a_float(source: Source) -> Iterator[Breach]:
    """Amounts and balances are integers of the smallest unit."""
    for node in source.nodes:
        for name, annotation in _annotated(node):
            if _MONEY_NAME.search(name) and re.search(r"\bfloat\b", ast.unparse(annotation)):
                yield source.breach(node, f"{name} is a float")


def nobody_is_told_busy(source: Source) -> Iterator[Breach]:
    """No answer says "busy" or "try again later": it says whose matter it is, and when."""
    if source.is_test:
        return
    for string in source.strings():
        if found := _BUSY.search(str(string.value)):
            yield source.breach(string, f"says {found.group()!r}")


def tests_say_their_rule(source: Source) -> Iterator[Breach]:
    """The docstring of a test is the rule it protects."""
    if not source.parts[-1].startswith("test_"):
        return
    for function in source.functions():
        if function.name.startswith("test_") and not ast.get_docstring(function):
            yield source.breach(function, f"{function.name} does not say which rule it protects")


def nothing_is_mocked(source: Source) -> Iterator[Breach]:
    """Tests use the real thing: PostgreSQL always; fakes stand only at the true edges."""
    for node in source.nodes:
        for module in _imported(node, "unittest.mock", "pytest_mock"):
            yield source.breach(node, f"imports {module}")


RULES: list[Rule] = [
    sql_has_its_home,
    sql_shouts,
    packages_have_a_front_door,
    names_say_something,
    functions_fit_a_screen,
    files_stay_short,
    silence_gives_a_reason,
    nothing_is_left_for_later,
    public_things_are_explained,
    time_and_chance_are_passed_in,
    money_is_never_a_float,
    nobody_is_told_busy,
    tests_say_their_rule,
    nothing_is_mocked,
]


def _imported(node: ast.AST, *roots: str) -> list[str]:
    """Full names of what the statement imports from below one of the roots (`unbusy` by default)."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [node.module]
    else:
        names = []
    return [name for name in names if any(f"{name}.".startswith(f"{root}.") for root in roots or ("unbusy",))]


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _unexplained(source: Source, node: ast.stmt) -> Iterator[Breach]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return
    is_bare = isinstance(node, ast.ClassDef) and all(isinstance(part, ast.Assign | ast.Pass) for part in node.body)
    if not ast.get_docstring(node) and not is_bare:
        yield source.breach(node, f"{node.name} has no docstring")
    if isinstance(node, ast.ClassDef) and not node.bases:
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and _length(method) > SHORT_METHOD:
                yield from _unexplained(source, method)


def _annotated(node: ast.AST) -> list[tuple[str, ast.expr]]:
    """Names with their annotations: of a field, an argument, or what a function gives back."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [(node.target.id, node.annotation)]
    if isinstance(node, ast.arg) and node.annotation:
        return [(node.arg, node.annotation)]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
        return [(node.name, node.returns)]
    return []
