"""A ragged encoder that tracing refuses: it packs sentences of different lengths into one nested tensor.

``refused.yaml`` says by hand which axes may move together; with it, the weights of two such models can be matched and
merged all the same.
"""

import torch
from torch import nn


class RaggedEncoder(nn.Module):
    """Each token by itself through two feed-forward layers, then the mean over each sentence, and a head."""

    def __init__(
        self, vocabulary: int = 50, width: int = 24, inner: int = 40, layers: int = 2, classes: int = 5
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.up = nn.ModuleList(nn.Linear(width, inner) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(inner, width, bias=False) for _ in range(layers))
        self.head = nn.Linear(width, classes)

    def forward(self, sentences: list[torch.Tensor]) -> torch.Tensor:
        """Ids of each sentence, any number of them, to (sentences, classes)."""
        x = torch.nested.nested_tensor([self.embed(ids) for ids in sentences])
        for up, down in zip(self.up, self.down):
            x = x + down(torch.relu(up(x)))
        means = torch.stack([tokens.mean(0) for tokens in x.unbind()])
        return self.head(means)


def model() -> tuple[nn.Module, tuple[list[torch.Tensor]]]:
    """The factory that the command line takes: ``refused.py:model``."""
    generator = torch.Generator().manual_seed(0)
    sentences = [torch.randint(0, 50, (length,), generator=generator) for length in (7, 3, 11)]
    return RaggedEncoder().eval(), (sentences,)
