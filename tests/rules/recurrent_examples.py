"""Calls of recurrent layers and cells."""

from __future__ import annotations

from tests.rules.examples import example, f

for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
    state = [f(2, 4), f(2, 4)] if name == "lstm" else f(2, 4)
    example(f"{name}_cell", f(2, 3), state, f(4 * gates, 3), f(4 * gates, 4), f(4 * gates), f(4 * gates))
    whole = [f(1, 2, 4), f(1, 2, 4)] if name == "lstm" else f(1, 2, 4)
    weights = [f(4 * gates, 3), f(4 * gates, 4), f(4 * gates), f(4 * gates)]
    example(f"{name}.input", f(2, 5, 3), whole, weights, True, 1, 0.0, False, False, True)
    deep = [f(4, 2, 2), f(4, 2, 2)] if name == "lstm" else f(4, 2, 2)
    weights = [f(2 * gates, n) for below in (3, 4) for _ in range(2) for n in (below, 2)]
    example(f"{name}.input", f(5, 2, 3), deep, weights, False, 2, 0.0, False, True, False)
