"""The constraint graph as networkx sees it."""

from __future__ import annotations

import networkx as nx
import pytest

import graphmerge as gm
from tests.families import FAMILIES, traced


@pytest.fixture(scope="module")
def bert() -> nx.MultiDiGraph:
    return traced("BERT").nx


def test_nodes_are_tensors(bert: nx.MultiDiGraph) -> None:
    state = FAMILIES["BERT"].model().state_dict()
    parameters = {n for n, d in bert.nodes(data=True) if d["kind"] == "parameter"}
    assert parameters == set(state)
    assert all(bert.nodes[key]["shape"] == tuple(tensor.shape) for key, tensor in state.items())
    assert {d["kind"] for _, d in bert.nodes(data=True)} == {"parameter", "activation", "constant"}
    assert bert.nodes["input:input_ids"]["shape"] == (1, 11)
    assert not any(str(n).startswith("trace2") or "@" in str(n) for n in bert)


def test_edges_say_what_ties(bert: nx.MultiDiGraph) -> None:
    keys = {"op", "equation", "kind", "module", "source", "reason"}
    assert all(set(d) == keys for _, _, d in bert.edges(data=True))
    weight = "bert.encoder.layer.0.intermediate.dense.weight"
    ((_, target, edge),) = bert.out_edges(weight, data=True)
    assert edge["op"] == "aten.linear.default"
    assert edge["equation"] == ".1 .0 i, o i, o -> .1 .0 o"
    assert (edge["kind"], edge["module"]) == ("contraction", "bert.encoder.layer.0.intermediate.dense")
    assert edge["source"].startswith("modeling_bert.py:")
    assert bert.nodes[target] == {"kind": "activation", "shape": (1, 11, 10)}


def kinds(graph: nx.MultiDiGraph) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for a, b, d in graph.edges(data=True):
        found.setdefault(d["kind"], set()).add((a, b))
    return found


def test_tied_parameters_residual_adds_and_head_splits(bert: nx.MultiDiGraph) -> None:
    found = kinds(bert)
    assert found["tied parameter"] == {
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    }
    modules = {d["module"] for _, _, d in bert.edges(data=True) if d["kind"] == "residual add"}
    assert {f"bert.encoder.layer.{k}.{part}.output" for k in range(2) for part in ("attention",)} <= modules
    splits = [d for _, _, d in bert.edges(data=True) if d["kind"] == "head split"]
    assert len(splits) == 2 * 4  # q, k, v apart, and the heads joined again
    assert all("(x1 x2)" in d["equation"] for d in splits)


def test_pins_are_loops_with_a_reason(bert: nx.MultiDiGraph) -> None:
    loops = {a: d["reason"] for a, b, d in bert.edges(data=True) if a == b}
    assert loops["input:input_ids"] == "input input_ids"
    assert "output logits" in loops.values()


def test_everything_that_is_read_reaches_the_output(bert: nx.MultiDiGraph) -> None:
    (end,) = {a for a, b, d in bert.edges(data=True) if a == b and d["reason"] == "output logits"}
    unread = {n for n in bert if n != end and not nx.has_path(bert, n, end)}
    assert unread <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}  # aliases


def test_tracing_twice_says_the_same() -> None:
    model = FAMILIES["GPT-2"].model()
    one, two = gm.trace(model).symmetry(), traced("GPT-2").symmetry()
    assert one == two
    assert list(one.layout) == list(two.layout)
    assert one.model == "GPT2LMHeadModel"


def test_members_are_in_model_order() -> None:
    keys = list(FAMILIES["Llama"].model().state_dict())
    for group in traced("Llama").symmetry().groups:
        places = [keys.index(axis.tensor) for axis in group.members]
        assert places == sorted(places)
