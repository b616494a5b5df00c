"""Statistics of the activations of two models on the same data: streamed sums at taps that are found by themselves."""

from graphmerge.stats.collect import Statistics, TapStatistics, collect
from graphmerge.stats.moments import Moments
from graphmerge.stats.slots import Slot, slots_of
from graphmerge.stats.taps import Tap

__all__ = ["Moments", "Slot", "Statistics", "Tap", "TapStatistics", "collect", "slots_of"]
