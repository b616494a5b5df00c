"""One direction: a package imports only from those left of it; and files stay short enough to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import graphmerge

ROOT = Path(graphmerge.__file__).parent
# the order of docs/architecture.md: from what knows nothing to what knows everything
ORDER = (
    "errors", "files", "device", "shrink", "symmetry", "algebra", "trace", "rules", "graph", "verify", "spec",
    "compare", "resolve", "checkpoint", "merge", "evaluate", "stats", "match", "certify", "certificate", "sweep",
    "report", "data", "recipe", "demo", "cli", "__main__", "__init__",
)  # fmt: skip
NEVER = {  # what must not be known there even though it stands to the left
    "symmetry": {"trace", "rules", "algebra", "graph"},
    "certify": {"algebra", "trace", "rules", "graph", "symmetry"},  # counts without any derivation
    "spec": {"algebra", "trace", "rules", "graph"},  # a hand-written spec needs none of them
    "match": {"algebra", "trace", "rules", "graph"},
    "merge": {"algebra", "trace", "rules", "graph"},
}
# (importing file, package): inside a function, for a method that belongs to the value but needs what comes later
LATE = {("symmetry/groups.py", "spec")}
OUTSIDERS = ("checkpoint", "demo", "cli")  # may use the public names and the version as any user does
FILES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def package_of(file: Path) -> str:
    first = file.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import statement with the module that it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [a.name for a in node.names] if node.module == "graphmerge" else [""]
            yield from ((node, f"{node.module}.{name}".rstrip(".")) for name in names)
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)


def own_packages(file: Path) -> set[tuple[str, bool]]:
    """Packages of ours that a file imports, each with whether that is at the top of the file."""
    tree = ast.parse(file.read_text())
    typing_only = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    hidden = {id(n) for block in typing_only for n in ast.walk(block)}
    found = set()
    for node, module in imports(tree):
        parts = module.split(".")
        if parts[0] == "graphmerge" and id(node) not in hidden:
            part = parts[1] if len(parts) > 1 else "__init__"
            known = (ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file()
            found.add((part if known else "__init__", node in tree.body))
    return found


def test_every_package_has_its_place() -> None:
    assert {package_of(f) for f in FILES} <= set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_come_from_the_left(file: Path) -> None:
    package = package_of(file)
    left = set(ORDER[: ORDER.index(package)]) - NEVER.get(package, set())
    if package in OUTSIDERS:
        left.add("__init__")
    for imported, at_the_top in own_packages(file):
        late = not at_the_top and (name_of(file), imported) in LATE
        assert imported in left | {package} or late, f"{name_of(file)} imports {imported}"


def libraries(package: str) -> set[str]:
    return {
        module.split(".")[0]
        for file in FILES
        if package_of(file) == package
        for _, module in imports(ast.parse(file.read_text()))
    }


def test_the_algebra_knows_no_torch() -> None:
    assert not libraries("algebra") & {"torch", "transformers"}


def test_the_spec_knows_no_torch() -> None:
    assert not libraries("spec") & {"torch", "transformers"}


def test_only_the_graph_draws_graphs() -> None:
    assert [p for p in ORDER if "networkx" in libraries(p)] == ["graph"]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 300


@pytest.mark.parametrize(
    "package", ["symmetry", "algebra", "trace", "rules", "graph", "verify", "spec", "compare", "match"]
)
def test_no_architecture_is_named(package: str) -> None:
    """What is derived is derived from structure: no code asks which model it has."""
    known = ("bert", "gpt", "llama", "mixtral", "bloom", "falcon", "mamba", "gemma", "qwen", "t5")
    for file in FILES:
        if package_of(file) == package:
            tree = ast.parse(file.read_text())
            docs = {
                id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
            }
            words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in docs]
            words += [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
            named = [w for w in words if isinstance(w, str) and any(k in w.lower() for k in known)]
            assert not named, f"{name_of(file)}: {named}"
