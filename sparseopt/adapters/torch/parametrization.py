"""The mask of a weight as a parametrisation of PyTorch."""

from __future__ import annotations

import torch


class Masked(torch.nn.Module):
    """A weight, zero where the mask is False; the mask is part of the module and not of its state."""

    def __init__(self, kept):
        super().__init__()
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, weight):
        """Masked weight."""
        return torch.where(self.kept, weight, 0)

    def right_inverse(self, weight):
        """Weight to store for this masked one: itself."""
        return weight
