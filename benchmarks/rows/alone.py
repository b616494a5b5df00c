"""Rows that need no other tool: beside plain passes, plain evaluations and bare assignments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

import graphmerge as gm
from benchmarks.rows.table import Figure, Row
from benchmarks.rows.timing import Spent, alternating, timed
from graphmerge.match import family
from graphmerge.stats import collect

WINDOW, ROWS = 64, 8  # tokens of a sequence, sequences of a batch


def statistics(runs: int, tokens: int) -> Row:
    """Statistics of BERT-base for matching by activations, beside the forward passes of both models alone."""
    a, b = _bert_base(0), _bert_base(1)
    symmetry = gm.trace(a).symmetry()
    batches = _batches(tokens // (ROWS * WINDOW), a.config.vocab_size)
    counted = len(batches) * ROWS * WINDOW

    def passes() -> None:
        with torch.no_grad():
            for batch in batches:
                a(**batch), b(**batch)

    calls = {
        "ours": lambda: timed(lambda: collect(a, b, symmetry, batches, device="cpu")),
        "theirs": lambda: timed(passes),
    }
    found = alternating(calls, runs, warm=0)
    taps = len(collect(a, b, symmetry, batches[:1], device="cpu").taps)
    what = f"statistics, BERT-base, {counted:,} tokens in {len(batches)} batches"
    note = f"statistics of {taps} taps of {len(symmetry.groups)} groups; finding the taps is a pass of one batch more"
    return Row(5, what, "plain forward passes of both models", _clocks(found, 2.0), (note,))


def line(runs: int, points: int = 21) -> Row:
    """The barrier of a small model, beside as many plain evaluations of that model."""
    config = BertConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, vocab_size=2000
    )
    a, b = _bert(config, 0), _bert(config, 1)
    batches = [batch | {"labels": batch["input_ids"]} for batch in _batches(8, config.vocab_size)]
    calls = {
        "ours": lambda: timed(lambda: gm.barrier(a, b, batches, points=points, device="cpu")),
        "theirs": lambda: timed(lambda: [gm.evaluate(a, batches, device="cpu") for _ in range(points)]),
    }
    found = alternating(calls, runs)
    weights = sum(p.numel() for p in a.parameters())
    what = f"{points}-point barrier, BERT of {weights / 1e6:.1f} M weights, {len(batches) * ROWS * WINDOW:,} tokens"
    return Row(6, what, f"{points} plain evaluations", _clocks(found, 1.05))


def assignments(runs: int, noise: float = 0.5) -> Row:
    """Matching BERT-base by weights, beside SciPy's assignments within it, which are timed where they are made.

    B is A with a random element applied and noise added to every weight.
    """
    a = _bert_base(0)
    symmetry = gm.trace(a).symmetry()
    b = symmetry.random(seed=1).apply(a)
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in b.parameters():
            if parameter.dim() > 1:
                spread = noise * float(parameter.std())
                parameter.add_(torch.empty_like(parameter).normal_(std=spread, generator=draw))
    whole, bare, solved = [], [], 0
    for _ in range(runs):
        spent, inside = _with_assignments(lambda: gm.match(a, b, symmetry, method="weights", device="cpu"))
        whole.append(spent)
        bare.append(Spent(sum(s.wall for s in inside), sum(s.cpu for s in inside)))
        solved = len(inside)
    figures = _clocks({"ours": tuple(whole), "theirs": tuple(bare)}, 2.0)
    note = (
        f"{solved:,} assignments; B is a permuted A with noise of {noise:g} standard deviations added to the matrices. "
        "Numerator and denominator grow alike with the sweeps, so the ratio is that of a sweep"
    )
    return Row(7, "matching by weights, BERT-base", "SciPy's assignments inside it", figures, (note,))


def _with_assignments(call: Callable[[], Any]) -> tuple[Spent, list[Spent]]:
    """What a call spends, and what each of SciPy's assignments in it does."""
    solve, inside = family.linear_sum_assignment, []

    def watched(worth: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
        found = []
        inside.append(timed(lambda: found.append(solve(worth, maximize=maximize))))
        return found[0]

    family.linear_sum_assignment = watched
    try:
        return timed(call), inside
    finally:
        family.linear_sum_assignment = solve


def _clocks(found: dict[str, tuple[Spent, ...]], target: float) -> tuple[Figure, ...]:
    """Wall and processor time of both sides; the target holds for either."""
    return tuple(
        Figure(clock, "s", *(tuple(getattr(s, clock) for s in found[side]) for side in ("ours", "theirs")), target)
        for clock in ("wall", "cpu")
    )


def _bert_base(seed: int) -> BertForMaskedLM:
    return _bert(BertConfig(), seed)


def _bert(config: BertConfig, seed: int) -> BertForMaskedLM:
    torch.manual_seed(seed)
    return BertForMaskedLM(config).eval()


def _batches(count: int, vocabulary: int) -> list[dict[str, torch.Tensor]]:
    """Random tokens."""
    draw = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(vocabulary, (ROWS, WINDOW), generator=draw)} for _ in range(max(count, 1))]
