"""Small modules that use the ops of a Transformer's surroundings: convolutions, norms, look-ups, writing in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


class Call(nn.Module):
    """A module from parts and a function of them."""

    def __init__(self, forward: Callable[..., torch.Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.run = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(x, **self.parts)


def _rotate(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    z = torch.view_as_complex(up(x).unflatten(-1, (-1, 2)))
    return torch.view_as_real(z * torch.polar(torch.ones(2), torch.tensor([0.3, 0.7]))).flatten(-2)


def _fill(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    out = torch.zeros(x.shape[0], 5)
    out[:, :4] = up(x)
    out[:, 1] *= 2
    out[:, [0, 2]] = out[:, [2, 4]] + out[:, [-1]] + (10 * out[:, [0, 3]]).int()
    chosen = out.index_select(1, torch.tensor([1, 2]))
    chosen += 1
    return torch.cat([out, chosen], -1).masked_fill(torch.tensor([False, True] + [False] * 5), -1.0)


def _onto_constants(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    """Activations written into rows of a table, a copy of it, and it many times over."""
    table = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    rows, copy, often = table.index_select(0, torch.tensor([1, 0])), table.clone(), table[:1].repeat(2, 1)
    rows += up(x)
    copy[1] = up(x)[0]
    often.mul_(up(x))
    return torch.cat([rows, copy, often], -1)


def _statistics(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    norms = functional.normalize(h, dim=-1) + functional.rms_norm(h, (4,))
    extremes = h.max(-1, keepdim=True)
    lines = [h.std(-1, keepdim=True), h.logsumexp(-1, keepdim=True), h.log_softmax(-1), extremes.values]
    return torch.cat([norms, h.cumsum(-1), *lines], -1)


def _attend(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    q, k, v = up(x).reshape(1, 2, 3, 2, 2).permute(2, 0, 3, 1, 4)
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def _route(x: torch.Tensor, router: nn.Module, up: nn.Module) -> torch.Tensor:
    """Two of four experts, in every way of writing that transformers use."""
    scores = router(x).sigmoid()
    best, which = (scores + torch.tensor([0.3, 0.1, 0.2, 0.0])).topk(2, sorted=False)
    shares = scores.gather(1, which) / scores.gather(1, which).sum(-1, keepdim=True)
    mask = torch.zeros_like(scores).scatter_(1, which, 1.0)
    dense = torch.zeros_like(scores).scatter_add(1, which, shares)
    hot = functional.one_hot(which, 4).permute(2, 1, 0)  # (experts, ranks, rows)
    told = torch.ones_like(scores).scatter(1, which, shares)
    kept = scores.masked_fill(~mask.bool(), 0.0)
    order = scores.sort(descending=True)
    looked = up.weight[which[:, 0]] + functional.embedding(scores.argmax(-1), up.weight)
    first = scores.max(-1, keepdim=True).values + order.indices[:, :1] + scores.gather(1, scores.min(-1, True).indices)
    return torch.cat([best, mask, dense, hot.sum(1).T, told, kept, order.values, looked, first], -1)


def _accumulate(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)  # (2, 4)
    columns = torch.tensor([0, 2, 0, 3])
    one = torch.zeros(2, 5).index_add(1, columns, h)
    two = torch.ones(2, 5).scatter_add(1, columns.expand(2, 4), h)
    three = h.clone().index_put_((torch.tensor([0, 1, 0]), torch.tensor([1, 2, 1])), h[0, :3], accumulate=True)
    four = h.masked_scatter(torch.tensor([[True, False, True, False]]), h.flip(1))
    five = h.scatter_reduce(1, columns.expand(2, 4), h.exp(), "amax")
    six = h.scatter_reduce(1, columns.expand(2, 4), h.exp(), "mean")
    alone = [h.scatter_reduce(1, columns.expand(2, 4), -h, how, include_self=False) for how in ("amax", "mean", "sum")]
    return torch.cat([one, two, three, four, five, six, *alone, h.cumprod(-1)], -1)


def _entropy(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    """A distribution of torch's own, which checks its arguments."""
    return torch.distributions.Categorical(logits=up(x)).entropy()


def _solve(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    matrix, right = up(x[:1]).reshape(3, 3) + 2 * torch.eye(3), up(x[1:]).reshape(3, 3)[:, :2]
    lower = torch.linalg.solve_triangular(matrix.tril(), right, upper=False)
    upper = torch.linalg.solve_triangular(matrix.triu(), right.mT, upper=True, left=False, unitriangular=True)
    return torch.cat([lower, upper.mT], -1)


def _waves(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    spectrum = torch.fft.rfft(h, norm="ortho")
    mixed = torch.fft.fftn(h, dim=(0, 1)).real
    back = torch.fft.irfft2(torch.fft.rfft2(h) * torch.tensor([1.0, 2.0, 3.0]), s=h.shape)
    return torch.cat([spectrum.real, spectrum.imag, mixed, back], -1)


def _resize(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    sizes = [functional.interpolate(h, size=(3, 5), mode=m) for m in ("nearest", "bilinear", "bicubic", "area")]
    halves = functional.interpolate(h, scale_factor=0.5, mode="bilinear", align_corners=True)
    cut = functional.unfold(h, 2, stride=1, padding=1)
    whole = functional.fold(cut, h.shape[-2:], 2, stride=1, padding=1)
    grid = torch.linspace(-0.9, 0.8, 2 * 3 * len(h)).reshape(len(h), 3, 1, 2)
    sampled = [functional.grid_sample(h, grid, m, "border", align_corners=False) for m in ("bilinear", "bicubic")]
    return torch.cat([t.flatten(1) for t in (*sizes, *sampled, halves, cut, whole)], -1)


def _sample(x: torch.Tensor, up: nn.Module, where: nn.Module) -> torch.Tensor:
    """Pixels at places that the picture decides, and how far apart these are."""
    h = up(x)
    grid = where(h.flatten(2).mT).tanh()[:, None]  # (b, 1, y x, 2)
    read = functional.grid_sample(h, grid, align_corners=False).flatten(1)
    return torch.cat(
        [read, torch.cdist(grid[:, 0], grid[:, 0, :3]).flatten(1), h.sum((), keepdim=True).reshape(1, 1)], 1
    )


def _in_place(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    part = h[:, :1]
    part.squeeze_(1).mul_(2)  # another shape, of the same memory
    h.t_()
    return torch.cat([h.unsqueeze_(0).flatten(), part])


def _recur(x: torch.Tensor, both: nn.Module, gated: nn.Module) -> torch.Tensor:
    return gated(both(x[None])[0])[0]


def _pool(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    h = up(x)
    pools = [
        functional.avg_pool2d(h, 2),
        functional.avg_pool2d(h, 3, stride=2, padding=1),
        functional.avg_pool2d(h, 3, stride=2, padding=1, count_include_pad=False, ceil_mode=True),
        functional.max_pool2d(h, 2, stride=1),
        functional.max_pool2d(h, (3, 1), padding=(1, 0), ceil_mode=True, stride=2),
        functional.avg_pool1d(h.flatten(2), 3, stride=2),
        functional.max_pool1d(h.flatten(2), 3),
        functional.adaptive_avg_pool1d(h.flatten(2), 2),
    ]
    return torch.cat([t.flatten(1) for t in pools], -1)


def _present(x: torch.Tensor, up: nn.Module) -> torch.Tensor:
    """Rows that are not empty, as many as there are, and a sum that depends on a number in the input."""
    there = (x == 0).sum(-1) != x.shape[-1]
    there[0] |= ~there.any()
    rows = up(x[there])
    return rows.sum(0) * int(there.sum()) if bool((x[0] > 0.5).any()) else rows[: int(x[1, 0].ceil())].sum(0)


IMAGE, ROWS = (1, 2, 4, 4), (2, 3)
ZOO: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "convolutions": lambda: (
        Call(
            lambda x, a, b: b(a(x)).mean((2, 3)),
            a=nn.Conv2d(2, 4, 3, padding=1),
            b=nn.Conv2d(4, 2, 2, stride=2, groups=2),
        ),
        torch.rand(IMAGE),
    ),
    "dilated and depthwise": lambda: (
        nn.Sequential(nn.Conv1d(2, 2, 2, groups=2, padding=2), nn.Conv1d(2, 3, 2, dilation=2)),
        torch.rand(1, 2, 3),
    ),
    "batch and group norm": lambda: (
        nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Hardswish()),
        torch.rand(IMAGE),
    ),
    "pooling": lambda: (nn.Sequential(nn.Conv2d(2, 3, 2), nn.AdaptiveAvgPool2d((2, 1))), torch.rand(IMAGE)),
    "routing": lambda: (Call(_route, router=nn.Linear(3, 4), up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "what is there": lambda: (
        Call(_present, up=nn.Linear(3, 4)),
        torch.tensor([[0.2, 0.3, 0.1], [1.2, 0, 0], [0, 0, 0]]),
    ),
    "adding up at places": lambda: (Call(_accumulate, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "entropy": lambda: (Call(_entropy, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "triangular systems": lambda: (Call(_solve, up=nn.Linear(3, 9)), torch.rand(ROWS)),
    "sampling": lambda: (Call(_sample, up=nn.Conv2d(2, 2, 1), where=nn.Linear(2, 2)), torch.rand(1, 2, 2, 3)),
    "in place": lambda: (Call(_in_place, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "recurrence": lambda: (
        Call(_recur, both=nn.LSTM(3, 2, bidirectional=True, batch_first=True), gated=nn.GRU(4, 2, batch_first=True)),
        torch.rand(ROWS),
    ),
    "waves": lambda: (Call(_waves, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "resizing": lambda: (Call(_resize, up=nn.Conv2d(2, 2, 1)), torch.rand(IMAGE)),
    "windows": lambda: (Call(_pool, up=nn.Conv2d(2, 2, 1)), torch.rand(IMAGE)),
    "transposed convolutions": lambda: (
        nn.Sequential(
            nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.ConvTranspose2d(4, 1, (1, 2), dilation=2, bias=False),
        ),
        torch.rand(IMAGE),
    ),
    "complex rotation": lambda: (Call(_rotate, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "writing in place": lambda: (Call(_fill, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "writing onto constants": lambda: (Call(_onto_constants, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "statistics": lambda: (Call(_statistics, up=nn.Linear(3, 4)), torch.rand(ROWS)),
    "fused attention": lambda: (Call(_attend, up=nn.Linear(3, 12)), torch.rand(1, 2, 3)),
    "einsum": lambda: (
        Call(lambda x, a, b: torch.einsum("nd,ne->de", a(x), b(x)).tril(), a=nn.Linear(3, 2), b=nn.Linear(3, 2)),
        torch.rand(ROWS),
    ),
    "torch's own layer": lambda: (nn.TransformerEncoderLayer(4, 2, 3, batch_first=True), torch.rand(1, 2, 4)),
}
