"""One function for each family of ops: it picks values and writes a line."""

from __future__ import annotations

import itertools
import math
import string

from tests.algebra.random_code import MAX_RANK, SIZES, Code, Shape


def _put(shape: Shape, axis: int, *sizes: int) -> Shape:
    return (*shape[:axis], *sizes, *shape[axis + 1 :])


# -- one function for each family of ops: picks values, writes a line ------------------------------------------------


def linear(c: Code) -> None:
    k, out = c.pick(), c.rng.choice(SIZES)
    shape = c.values[k]
    bias = c.parameter((out,)) if c.rng.random() < 0.5 else "None"
    weight = c.parameter((out, shape[-1]))
    c.line(f"F.linear(v[{k}], {weight}, {bias})", (*shape[:-1], out), (k,))


def einsum(c: Code) -> None:
    """Any contraction of a value with one or two others, values or parameters."""
    letters = iter(string.ascii_lowercase)
    k = c.pick()
    terms = ["".join(next(letters) for _ in c.values[k])]
    sizes = dict(zip(terms[0], c.values[k]))
    operands, reads = [f"v[{k}]"], [k]
    for _ in range(c.rng.choice((1, 1, 1, 2))):
        if c.rng.random() < 0.5:
            j = c.pick()
            term = ""
            for n in c.values[j]:
                same = [x for x in sizes if sizes[x] == n and (x not in term or c.rng.random() < 0.05)]
                letter = c.rng.choice(same) if same and c.rng.random() < 0.8 else next(letters)
                sizes[letter] = n
                term += letter
            operands.append(f"v[{j}]")
            reads.append(j)
        else:
            kept = [x for x in sizes if c.rng.random() < 0.6]
            new = next(letters)
            sizes[new] = c.rng.choice(SIZES)
            chosen = c.rng.sample([*kept, new], len(kept) + 1)[: MAX_RANK - 1]
            term = "".join(chosen)
            operands.append(c.parameter(tuple(sizes[x] for x in chosen)))
        terms.append(term)
    used = list(dict.fromkeys("".join(terms)))
    out = [x for x in c.rng.sample(used, len(used)) if c.rng.random() < 0.6][:MAX_RANK]
    shape = tuple(sizes[x] for x in out)
    c.line(f"torch.einsum('{','.join(terms)}->{''.join(out)}', {', '.join(operands)})", shape, tuple(reads))


def split_axis(c: Code) -> None:
    k = c.pick()
    composite = [a for a, n in enumerate(c.values[k]) if n in (4, 6)]
    if not composite or len(c.values[k]) >= MAX_RANK:
        return
    axis = c.rng.choice(composite)
    outer = c.rng.choice([n for n in (2, 3) if c.values[k][axis] % n == 0])
    shape = _put(c.values[k], axis, outer, c.values[k][axis] // outer)
    c.line(f"v[{k}].reshape({shape})", shape, (k,))


def merge_axes(c: Code) -> None:
    k = c.pick(2)
    axis = c.rng.randrange(len(c.values[k]) - 1)
    old = c.values[k]
    shape = (*old[:axis], old[axis] * old[axis + 1], *old[axis + 2 :])
    c.line(f"v[{k}].flatten({axis}, {axis + 1})", shape, (k,))


def reshape(c: Code) -> None:
    """Any other shape with as many entries."""
    k = c.pick()
    total, shape = math.prod(c.values[k]), []
    while total > 1 and len(shape) < 3:
        divisors = [n for n in range(2, total + 1) if total % n == 0]
        shape.append(c.rng.choice(divisors))
        total //= shape[-1]
    if total > 1:
        shape.append(total)
    c.line(f"v[{k}].reshape({tuple(shape)})", tuple(shape), (k,))


def permute(c: Code) -> None:
    k = c.pick(2)
    order = c.rng.sample(range(len(c.values[k])), len(c.values[k]))
    c.line(f"v[{k}].permute({tuple(order)})", tuple(c.values[k][d] for d in order), (k,))


def part(c: Code) -> None:
    """A slice, with or without a step, or one unit."""
    k = c.pick()
    axis = c.axis(k)
    size = c.values[k][axis]
    before = ":, " * axis
    if c.rng.random() < 0.2:
        c.line(f"v[{k}][{before}{c.rng.randrange(size)}]", _put(c.values[k], axis), (k,))
        return
    start = c.rng.randrange(size)
    stop, step = c.rng.randint(start + 1, size), c.rng.choice((1, 1, 1, 2))
    length = len(range(start, stop, step))
    c.line(f"v[{k}][{before}{start}:{stop}:{step}]", _put(c.values[k], axis, length), (k,))


def chunks(c: Code) -> None:
    """All parts of an axis, by split or unbind, each a value."""
    k = c.pick()
    axis = c.axis(k)
    size = c.values[k][axis]
    if size == 1:
        return
    if c.rng.random() < 0.3 and size <= 3:
        for n in range(size):
            c.line(f"v[{k}].unbind({axis})[{n}]", _put(c.values[k], axis), (k,))
        return
    cut = c.rng.choice([n for n in range(1, size) if n == size // 2 or c.rng.random() < 0.3] or [1])
    for n, length in enumerate((cut, size - cut)):
        c.line(f"v[{k}].split(({cut}, {size - cut}), {axis})[{n}]", _put(c.values[k], axis, length), (k,))


def join(c: Code) -> None:
    """cat or stack of two values that fit, or of one with a parameter that fits."""
    k = c.pick()
    shape, axis = c.values[k], c.axis(k)
    fitting = [
        j
        for j, s in enumerate(c.values)
        if len(s) == len(shape) and all(a == b for d, (a, b) in enumerate(zip(s, shape)) if d != axis)
    ]
    if c.rng.random() < 0.3:
        alike = [j for j in fitting if c.values[j] == shape]
        j, place = c.rng.choice(alike), c.rng.randint(0, len(shape))
        c.line(f"torch.stack((v[{k}], v[{j}]), {place})", (*shape[:place], 2, *shape[place:]), (k, j))
        return
    j = c.rng.choice(fitting) if c.rng.random() < 0.6 else c.source(_put(shape, axis, c.rng.choice(SIZES)))
    first, second = c.rng.sample((k, j), 2)
    total = c.values[k][axis] + c.values[j][axis]
    c.line(f"torch.cat((v[{first}], v[{second}]), {axis})", _put(shape, axis, total), (k, j))


def pad(c: Code) -> None:
    k = c.pick()
    before, after = c.rng.randint(0, 2), c.rng.randint(0, 2)
    shape = (*c.values[k][:-1], c.values[k][-1] + before + after)
    c.line(f"F.pad(v[{k}], ({before}, {after}))", shape, (k,))


def combine(c: Code) -> None:
    """Sum or product with another value, itself turned around, a parameter or a constant that broadcasts."""
    k = c.pick()
    shape = c.values[k]
    fitting = [
        j
        for j, s in enumerate(c.values)
        if len(s) <= len(shape) and all(a in (1, b) for a, b in zip(s[::-1], shape[::-1]))
    ]
    other, reads = "", [k]
    choice = c.rng.random()
    square = [(a, b) for a, b in itertools.combinations(range(len(shape)), 2) if shape[a] == shape[b]]
    if choice < 0.1 and square:
        a, b = c.rng.choice(square)
        other = f"v[{k}].transpose({a}, {b})"
    elif choice < 0.5:
        reads.append(c.rng.choice(fitting))
        other = f"v[{reads[1]}]"
    else:
        own = shape[c.rng.randint(0, len(shape)) :]
        partly = tuple(n if c.rng.random() < 0.7 else 1 for n in own)
        other = c.constant(partly) if choice < 0.65 else c.parameter(partly)
    sign = c.rng.choice("+*")
    if c.rng.random() < 0.5:
        c.line(f"v[{k}] {sign} {other}", shape, tuple(reads))
    else:
        c.line(f"{other} {sign} v[{k}]", shape, tuple(reads))


def pointwise(c: Code) -> None:
    k = c.pick()
    c.line(f"{c.rng.choice(('torch.relu', 'torch.tanh', 'F.gelu', 'torch.cos'))}(v[{k}])", c.values[k], (k,))


def along(c: Code) -> None:
    """Softmax, a norm, a scan along one axis."""
    k = c.pick()
    axis = c.axis(k)
    text = c.rng.choice(("softmax({a})", "cumsum({a})", "flip({a})", "softmax({a})", "roll(1, {a})", "norm"))
    if text == "norm":
        size = c.values[k][-1]
        gain = c.parameter((size,)) if c.rng.random() < 0.5 else "None"
        name = c.rng.choice(("layer_norm", "rms_norm"))
        c.line(f"F.{name}(v[{k}], ({size},), {gain})", c.values[k], (k,))
    else:
        c.line(f"v[{k}].{text.format(a=axis)}", c.values[k], (k,))


def reduce(c: Code) -> None:
    k = c.pick(2)
    axes = tuple(sorted(c.rng.sample(range(len(c.values[k])), c.rng.randint(1, len(c.values[k]) - 1))))
    keep = c.rng.random() < 0.4
    shape = [n if d not in axes else 1 for d, n in enumerate(c.values[k]) if keep or d not in axes]
    c.line(f"v[{k}].{c.rng.choice(('sum', 'mean', 'amax'))}({axes}, keepdim={keep})", tuple(shape), (k,))


def copies(c: Code) -> None:
    """A new axis, an expanded one, or repeated units."""
    k = c.pick()
    shape, axis, times = c.values[k], c.axis(k), c.rng.choice((2, 3))
    match c.rng.randrange(3):
        case 0:
            c.line(f"v[{k}].unsqueeze({axis})", (*shape[:axis], 1, *shape[axis:]), (k,))
        case 1:
            new = (*shape[:axis], times, *shape[axis:])
            c.line(f"v[{k}].unsqueeze({axis}).expand({new})", new, (k,))
        case _:
            sizes = tuple(times if d == axis else 1 for d in range(len(shape)))
            text = f"repeat({sizes})" if c.rng.random() < 0.5 else f"repeat_interleave({times}, {axis})"
            c.line(f"v[{k}].{text}", _put(shape, axis, shape[axis] * times), (k,))


def product(c: Code) -> None:
    """A value times itself: scores of each unit with each."""
    k = c.pick(2)
    shape = c.values[k]
    c.line(f"v[{k}] @ v[{k}].transpose(-1, -2)", (*shape[:-1], shape[-2]), (k,))


def look_up(c: Code) -> None:
    k = c.pick()
    axis = c.axis(k)
    run = c.rng.random() < 0.3
    units = [c.rng.randrange(c.values[k][axis]) for _ in range(c.rng.randint(1, 4))]
    units = list(range(c.values[k][axis])) if run else units
    before = ":, " * axis
    c.line(f"v[{k}][{before}torch.tensor({units})]", _put(c.values[k], axis, len(units)), (k,))


def special(c: Code) -> None:
    """Ops with a shape of their own: a gate, a convolution, norms of groups and batches, look-ups, sums by index."""
    k = c.pick(2)
    shape, axis = c.values[k], c.axis(k)
    n = shape[axis]
    units = f"torch.tensor({[c.rng.randrange(n) for _ in range(3)]})"
    match c.rng.randrange(7):
        case 0 if n % 2 == 0:
            c.line(f"F.glu(v[{k}], {axis})", _put(shape, axis, n // 2), (k,))
        case 1 if len(shape) == 3 and shape[1] % 2 == 0:
            weight = c.parameter((4, shape[1] // 2, 1))
            c.line(f"F.conv1d(v[{k}], {weight}, groups=2)", (shape[0], 4, shape[2]), (k,))
        case 2 if shape[1] % 2 == 0 and math.prod(shape) > 2:
            gain = c.parameter((shape[1],)) if c.rng.random() < 0.5 else "None"
            c.line(f"F.group_norm(v[{k}], 2, {gain})", shape, (k,))
        case 3 if shape[0] > 1 and len(shape) < 6:
            c.line(f"F.batch_norm(v[{k}], None, None, training=True)", shape, (k,))
        case 4:
            c.line(f"v[{k}].topk({(n + 1) // 2}, {axis})[0]", _put(shape, axis, (n + 1) // 2), (k,))
        case 5:
            c.line(f"v[{k}].index_select({axis}, {units})", _put(shape, axis, 3), (k,))
        case 6:
            source = c.parameter(_put(shape, axis, 3))
            c.line(f"v[{k}].index_add({axis}, {units}, {source})", shape, (k,))


def attend(c: Code) -> None:
    """Scaled dot-product attention of a value's own projections, heads split from the last axis."""
    k = c.pick(2)
    shape = c.values[k]
    heads, dim = c.rng.choice((1, 2, 3)), c.rng.choice((1, 2, 3))
    length = shape[-2]
    fused = c.parameter((3 * heads * dim, shape[-1]))
    whole = (*shape[:-1], 3 * heads * dim)
    c.line(f"F.linear(v[{k}], {fused})", whole, (k,))
    k = len(c.values) - 1
    split = (*shape[:-2], length, 3, heads, dim)
    c.line(f"v[{k}].reshape({split}).movedim(-3, 0).transpose(-2, -3)", (3, *shape[:-2], heads, length, dim), (k,))
    k += 1
    causal = c.rng.random() < 0.3
    text = f"F.scaled_dot_product_attention(v[{k}][0], v[{k}][1], v[{k}][2], is_causal={causal})"
    c.line(text, (*shape[:-2], heads, length, dim), (k,))
