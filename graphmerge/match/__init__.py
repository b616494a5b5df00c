"""Finding the permutations that bring one model closest to another."""

from graphmerge.match.match import Match, match

__all__ = ["Match", "match"]
