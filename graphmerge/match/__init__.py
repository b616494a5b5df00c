"""Finding the permutations that bring one model closest to another."""

from graphmerge.match.many import Matches, match_many
from graphmerge.match.match import Match, match
from graphmerge.match.options import MatchOptions

__all__ = ["Match", "MatchOptions", "Matches", "match", "match_many"]
