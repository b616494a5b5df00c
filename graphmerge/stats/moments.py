"""First and second moments of the units of two models over the same samples, as sums that can be added."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# A unit whose deviations are this small beside its mean does not vary: they are rounding.
CONSTANT = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over ``count`` samples of units of A and units of B, around their means.

    ``mean_a``, ``mean_b`` (units) and ``square_a``, ``square_b`` (units; Σ (x - mean)²) are float64; ``cross``
    (units of A, units of B; Σ (x - mean)(y - mean)) is float32 or what the samples are, if that is wider.
    """

    count: int
    mean_a: torch.Tensor
    mean_b: torch.Tensor
    square_a: torch.Tensor
    square_b: torch.Tensor
    cross: torch.Tensor

    @classmethod
    def of(cls, x: torch.Tensor, y: torch.Tensor) -> Moments:
        """The moments of x (samples, units of A) and y (samples, units of B), whose samples belong together."""
        dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
        mean_a, mean_b = (t.mean(0, dtype=torch.float64) for t in (x, y))
        x, y = (x - mean_a).to(dtype), (y - mean_b).to(dtype)
        square_a, square_b = (t.square().sum(0, dtype=torch.float64) for t in (x, y))
        return cls(len(x), mean_a, mean_b, square_a, square_b, x.mT @ y)

    def __add__(self, other: Moments) -> Moments:
        """The moments of both sets of samples together (Chan, Golub and LeVeque 1979)."""
        count = self.count + other.count
        share = other.count / count
        shift_a, shift_b = other.mean_a - self.mean_a, other.mean_b - self.mean_b
        scale = self.count * share
        between = torch.outer(shift_a * scale, shift_b).to(self.cross.dtype)  # (units of A, units of B)
        return Moments(
            count,
            self.mean_a + share * shift_a,
            self.mean_b + share * shift_b,
            self.square_a + other.square_a + scale * shift_a.square(),
            self.square_b + other.square_b + scale * shift_b.square(),
            self.cross + other.cross + between,
        )

    def correlation(self) -> torch.Tensor:
        """Pearson's r of every unit of A with every unit of B; 0 for units that do not vary."""
        inverse_a, inverse_b = (
            torch.where(square > self.count * (CONSTANT * mean).square(), square.rsqrt(), 0.0)
            for square, mean in ((self.square_a, self.mean_a), (self.square_b, self.mean_b))
        )
        return self.cross * inverse_a[:, None].to(self.cross.dtype) * inverse_b.to(self.cross.dtype)

    def covariance(self) -> torch.Tensor:
        """The mean over samples of (x - mean)(y - mean), in the units of the activations, squared."""
        return self.cross / self.count

    def inner_product(self) -> torch.Tensor:
        """The mean over samples of x·y."""
        return self.cross / self.count + torch.outer(self.mean_a, self.mean_b).to(self.cross.dtype)
