"""The shape of the tree: sizes, cards, names, and what may be said in it.

Called by: make check.
Owns: nothing.
Never: imports what it looks at.

A rule may be broken beside a comment `House: <why>`; each is printed at the end of the run's output
(pytest -rA shows it), so that reviewers can count them.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
LINES = {".py": 400, ".c": 600, ".pyx": 200}
FUNCTION_LINES = 50
CARD = ("Called by:", "Owns:", "Never:")
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc", "shared", "tools"}
# Said in a commit or to a colleague, but no reader of the product knows what they mean.
ELSEWHERE = (
    r"/work/", r"/farm/", r"\bfarm-\w+", r"\bissues? #?\d+\b", r"(?<![&\w])#\d+\b", r"\bTODO\b",
    r"\bFIXME\b", r"\bXXX\b", r"\bLLM\b", r"\bClaude\b", r"\bChatGPT\b", r"\bCopilot\b",
)  # fmt: skip


def tracked(*patterns: str) -> list[Path]:
    """What git knows or would add: never what a build left."""
    words = ["git", "-C", str(TOP), "ls-files", "-z", "-co", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [TOP / name for name in sorted(listed.split("\0")) if name and (TOP / name).is_file()]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(TOP)) for path in paths]


SOURCES = tracked(
    "src/*",
    "preload/*",
    "supervisor/*",
    "reaper/*",
    "sandbox/*",
    "bench/*",
    "tests/*",
    "pod-image/*",
    "setup*",
)
PYTHON = [path for path in SOURCES if path.suffix == ".py"]
SIZED = [path for path in SOURCES if path.suffix in LINES]
TEXTS = tracked(":!LICENSE", ":!setup/constraints.txt", ":!tests/house/test_shape.py")


def excused(lines: list[str]) -> bool:
    return any(re.search(r"(#|//|/\*) House: \w", line) for line in lines)


def functions(path: Path) -> list[tuple[str, int]]:
    """Name and length of each function, without its docstring and unless it is excused inside."""
    found = []
    text = path.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            first = node.body[0]
            is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            doc = (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0
            if not excused(text.splitlines()[node.lineno - 1 : node.end_lineno]):
                found.append((node.name, node.end_lineno - node.lineno + 1 - doc))
    return found


@pytest.mark.parametrize("path", SIZED, ids=names(SIZED))
def test_a_module_fits_on_a_few_screens(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LINES[path.suffix] or excused(lines[:30])


@pytest.mark.parametrize("path", PYTHON, ids=names(PYTHON))
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [f"{name}: {size}" for name, size in functions(path) if size > FUNCTION_LINES]
    assert not long


# The name of a test is its card; setup.py is read by nobody's import.
ROOMS = [path for path in PYTHON if not path.name.startswith(("test_", "setup.py"))]


@pytest.mark.parametrize("path", ROOMS, ids=names(ROOMS))
def test_a_module_has_its_card(path: Path) -> None:
    card = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert card.split("\n\n")[0].endswith((".", ":", "?"))  # a bench asks
    assert [word for word in CARD if word not in card] == []


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_name_says_what_is_in_it(path: Path) -> None:
    assert VAGUE.isdisjoint(re.split(r"[-_.]", path.name.lower()))


def bare_sides(tree: ast.AST) -> set[str]:
    """Names that say `local` or `remote` without saying whose."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    found |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return {name for name in found if re.match(r"_*(local|remote)(_|$)", name.lower())}


@pytest.mark.parametrize("path", PYTHON, ids=names(PYTHON))
def test_no_name_says_local_or_remote(path: Path) -> None:
    assert not bare_sides(ast.parse(path.read_text()))


def test_test_files_have_names_of_their_own() -> None:
    """One run of pytest imports them side by side, by these names."""
    for together in (("sockets", "preload", "cluster"), ("sockets", "unit/tunnel"), ("unit",)):
        files = [
            path.name for room in together for path in (TOP / "tests" / room).rglob("test_*.py")
        ]
        assert len(files) == len(set(files)), sorted(files)


UNIT_TESTS = sorted((TOP / "tests" / "unit").rglob("test_*.py"))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=names(UNIT_TESTS))
def test_unit_tests_mirror_the_sources(path: Path) -> None:
    room = path.relative_to(TOP / "tests" / "unit").parent
    tested = TOP / "src" / "telepresence" / room / path.name.removeprefix("test_")
    # A module or a package; dunder modules are tested without their underscores.
    wanted = (tested, tested.with_suffix(""), tested.with_name(f"__{tested.stem}__.py"))
    assert any(place.exists() for place in wanted)


@pytest.mark.parametrize("path", TEXTS, ids=names(TEXTS))
def test_the_tree_speaks_of_the_product_alone(path: Path) -> None:
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        pytest.fail("a binary file: say in a text how it is made, and make it")
    assert [found[0] for words in ELSEWHERE for found in re.finditer(words, text)] == []


def test_exceptions_are_shown() -> None:
    for path in SOURCES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if excused([line]):
                print(f"{path.relative_to(TOP)}:{number}: {line.strip()}")  # noqa: T201


def test_versions_agree() -> None:
    stated = re.search(r'^version = "(.+)"', (TOP / "pyproject.toml").read_text(), re.M)
    in_package = re.search(
        r'__version__ = "(.+)"', (TOP / "src/telepresence/__init__.py").read_text()
    )
    assert stated is not None
    assert in_package is not None
    assert stated[1] == in_package[1]
    assert f"telepresence-agent:{stated[1]}" in (TOP / "pod-image/Dockerfile").read_text()
