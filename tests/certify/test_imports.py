"""The certificate must not lean on what it certifies."""

from __future__ import annotations

import ast
from pathlib import Path

import graphmerge

FORBIDDEN = {"rules", "algebra", "graph", "trace", "certificate"}
FOLDER = Path(graphmerge.__file__).parent / "certify"


def _imported(source: str) -> set[str]:
    """Every dotted name that a file imports, relative ones as if from graphmerge.certify."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ["graphmerge", "certify"][: 3 - node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def _leaning(source: str) -> set[str]:
    """Imports of the derivation, or of the package as a whole, which has it."""
    parts = [name.split(".") for name in _imported(source)]
    return {".".join(p) for p in parts if p[0] == "graphmerge" and (len(p) < 3 or p[1] in FORBIDDEN)}


def test_certify_imports_nothing_of_the_derivation() -> None:
    files = sorted(FOLDER.rglob("*.py"))
    assert len(files) >= 5
    assert {f.name: _leaning(f.read_text()) for f in files if _leaning(f.read_text())} == {}


def test_the_check_sees_every_form_of_import() -> None:
    for line in (
        "from graphmerge.rules import registry",
        "from graphmerge import trace",
        "import graphmerge",
        "from ..graph import build",
        "from .. import algebra",
        "def f():\n    from graphmerge.algebra.solve import solve",
    ):
        assert _leaning(line), line
    assert not _leaning("from graphmerge.errors import GraphMergeError\nfrom graphmerge.certify.nodes import Nodes")
