"""Products summed over shared letters: where the equation says it, write the equation."""

from __future__ import annotations

from graphmerge.algebra import Equation
from graphmerge.rules.registry import Call, NotCovered, Ref, broadcast, rule


@rule("aten.linear", kind="contraction")
def linear(call: Call) -> list[Equation]:
    x, weight = call.arg(0, "input"), call.arg(1, "weight")
    bias = call.arg(2, "bias")
    refs = [x, weight, *([bias] if bias is not None else []), call.out]
    return [call.write("... i, o i, o -> ... o" if bias is not None else "... i, o i -> ... o", refs)]


@rule("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot", kind="contraction")
def matmul(call: Call) -> list[Equation]:
    a, b = call.tensors
    match len(a.shape), len(b.shape):
        case 1, 1:
            text = "k, k -> "
        case 1, _:
            text = "k, ... k j -> ... j"
        case _, 1:
            text = "... k, k -> ..."
        case _:
            text = "... i k, ... k j -> ... i j"
    if not call.out.shape:
        return [call.terms([(a, [("k",)]), (b, [("k",)])], {"k": a.shape[0]})]
    return [call.write(text, [a, b, call.out])]


@rule("aten.addmm", "aten.baddbmm", kind="contraction")
def add_product(call: Call) -> list[Equation]:
    """``bias + a @ b``; the bias broadcasts to the output."""
    bias, a, b = call.tensors
    out = ["b", "i", "j"][-len(a.shape) :]
    batch = out[:-2]
    sizes = dict(zip(out, call.out.shape)) | {"k": a.shape[-1]}
    terms = [
        (bias, broadcast(bias, out, sizes)),
        (a, broadcast(a, [*batch, "i", "k"], sizes)),
        (b, broadcast(b, [*batch, "k", "j"], sizes)),
        (call.out, broadcast(call.out, out, sizes)),
    ]
    return [call.terms(terms, sizes)]


@rule("aten.addmv", kind="contraction")
def add_vector_product(call: Call) -> list[Equation]:
    return [call.write("i, i k, k -> i", [*call.tensors, call.out])]


@rule("aten.addbmm", kind="contraction")
def add_summed_products(call: Call) -> list[Equation]:
    return [call.write("i j, b i k, b k j -> i j", [*call.tensors, call.out])]


@rule("aten.einsum", kind="contraction")
def einsum(call: Call) -> list[Equation]:
    """The user's own equation; ``...`` broadcasts, a repeated letter is a diagonal."""
    text = call.arg(0, "equation").replace(" ", "")
    left, arrow, right = text.partition("->")
    refs = call.tensors
    inputs = left.split(",")
    if not arrow:
        letters = sorted({c for c in left if c.isalpha()})
        right = ("..." if "..." in left else "") + "".join(c for c in letters if left.count(c) == 1)
    sides = [_spread(t, r.shape) for t, r in zip([*inputs, right], [*refs, call.out])]
    sizes: dict[str, int] = {}
    for names, ref in zip(sides, [*refs, call.out]):
        for name, size in zip(names, ref.shape):
            sizes[name] = max(size, sizes.get(name, 1))
    return [call.terms([(r, broadcast(r, names, sizes)) for names, r in zip(sides, [*refs, call.out])], sizes)]


def _spread(text: str, shape: tuple[int, ...]) -> list[str]:
    """Letters of one operand; the axes of ``...`` are numbered from the right."""
    before, dots, after = text.partition("...")
    extra = len(shape) - len(before) - len(after)
    return [*before, *([f".{k}" for k in reversed(range(extra))] if dots else []), *after]


@rule("aten.outer", kind="contraction")
def outer(call: Call) -> list[Equation]:
    return [call.write("i, j -> i j", [*call.tensors, call.out])]


@rule("aten.bilinear", kind="contraction")
def bilinear(call: Call) -> list[Equation]:
    refs = call.tensors
    return [
        call.write(
            "... i, ... j, o i j, o -> ... o" if len(refs) == 4 else "... i, ... j, o i j -> ... o", [*refs, call.out]
        )
    ]


@rule("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution", kind="convolution")
def convolution(call: Call) -> list[Equation]:
    """``b (g i) x!, (g o) i k!, (g o) -> b (g o) y!``; positions are pinned, except along kernels of one."""
    x, weight, bias = call.arg(0, "input"), call.arg(1, "weight"), call.arg(2, "bias")
    whole = call.node.op.startswith("aten.convolution")
    groups = call.arg(8 if whole else 6, "groups", 1)
    if whole and call.arg(6, "transposed", False):
        raise NotCovered("transposed convolution")
    places = len(weight.shape) - 2
    batch = ["b"] if len(x.shape) == len(weight.shape) else []
    alone = [_reads_alone(call, x, weight, k) for k in range(places)]
    spots = {s: [f"{s}{k}" for k in range(places)] for s in "xk"}
    spots["y"] = [f"{'x' if single else 'y'}{k}" for k, single in enumerate(alone)]
    sizes = {"g": groups, "i": weight.shape[1], "o": weight.shape[0] // groups}
    sizes |= dict(zip(["b"] * len(batch), x.shape)) | dict(zip(spots["k"], weight.shape[2:]))
    sizes |= dict(zip(spots["x"], x.shape[-places:])) | dict(zip(spots["y"], call.out.shape[-places:]))
    own = [(b,) for b in batch]
    terms = [
        (x, [*own, ("g", "i"), *((s,) for s in spots["x"])]),
        (weight, [("g", "o"), ("i",), *((s,) for s in spots["k"])]),
        (call.out, [*own, ("g", "o"), *((s,) for s in spots["y"])]),
    ]
    if bias is not None:
        terms.insert(2, (bias, [("g", "o")]))
    pins = [s[k] for s in spots.values() for k, single in enumerate(alone) if not single]
    return [call.terms(terms, sizes, pins=pins)]


def _reads_alone(call: Call, x: Ref, weight: Ref, place: int) -> bool:
    """Does each position along this axis come from the one of the same number, and from no other?"""
    padding = call.arg(4, "padding", 0)
    around = padding if isinstance(padding, tuple) else (padding,)
    unpadded = isinstance(padding, str) or around[min(place, len(around) - 1)] == 0
    size = x.shape[len(x.shape) - len(weight.shape) + 2 + place]
    return weight.shape[2 + place] == 1 and unpadded and call.out.shape[2 + place - len(weight.shape)] == size


@rule("aten.scaled_dot_product_attention", kind="attention")
def attention(call: Call) -> list[Equation]:
    """Scores ``b h i d, b h j d``, softmax over j, then ``b h j e``; causal masks are constants over (i, j).

    With grouped queries the heads are ``(k g)``. The virtual terms are the scores and their softmax's denominator.
    """
    q, k, v = call.arg(0, "query"), call.arg(1, "key"), call.arg(2, "value")
    mask = call.arg(3, "attn_mask")
    if call.arg(4, "dropout_p", 0.0):
        raise NotCovered("dropout of attention weights in eval mode: random")
    rank = len(q.shape)
    lead = [f"b{n}" for n in range(rank - 3)] if rank > 2 else []
    heads = ["h"] if rank > 2 else []
    sizes = dict(zip(lead, q.shape)) | {"i": q.shape[-2], "d": q.shape[-1], "j": k.shape[-2], "e": v.shape[-1]}
    q_head = [("h",)] if heads else []
    k_head = q_head
    if heads:
        sizes["h"] = q.shape[-3]
        if k.shape[-3] != q.shape[-3]:
            sizes |= {"k": k.shape[-3], "g": q.shape[-3] // k.shape[-3]}
            q_head, k_head = [("k", "g")], [("k",)]
    own = [(b,) for b in lead]
    terms = [(q, [*own, *q_head, ("i",), ("d",)]), (k, [*own, *k_head, ("j",), ("d",)])]
    terms += [(v, [*own, *k_head, ("j",), ("e",)]), (call.out, [*own, *q_head, ("i",), ("e",)])]
    if mask is not None:
        if q_head == [("k", "g")] and len(mask.shape) > 2 and mask.shape[-3] != 1:
            raise NotCovered("a mask for each head of grouped queries")
        terms.append((mask, broadcast(mask, [*lead, *heads, "i", "j"], sizes)))
    flat = [x for axis in [*own, *q_head] for x in axis]
    causal = ["i", "j"] if call.arg(5, "is_causal", False) else []
    return [call.terms(terms, sizes, pins=causal, virtual=[[*flat, "i"], [*flat, "i", "j"]])]
