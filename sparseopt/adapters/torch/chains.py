"""Modules that are a chain: linear layers one after the other, with a function of each neuron between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseopt.pruning.networks import Activation, identity

# What acts on each neuron alone, in evaluation mode.
ELEMENTWISE = (
    *("ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "LogSigmoid"),
    *("Softplus", "Softsign", "Hardtanh", "Hardswish", "Hardsigmoid", "Hardshrink", "Softshrink", "Tanhshrink"),
    *("Threshold", "Identity", "Dropout", "AlphaDropout", "FeatureAlphaDropout"),
)
OWN = {
    "ReLU": Activation.RELU.value,
    "Tanh": Activation.TANH.value,
    "Sigmoid": Activation.LOGISTIC.value,
    **dict.fromkeys(("Identity", "Dropout", "AlphaDropout", "FeatureAlphaDropout"), identity),
}


def functions_between(module, names):
    """What is applied to the samples, between the named layers of a chain, and after the last."""
    from torch import nn

    if type(module) not in {nn.Sequential, nn.Linear}:
        raise TypeError(
            f"what {type(module).__name__} does between its layers is not known; only an nn.Sequential of linear layers "
            "and activations is a chain that can be exported."
        )
    steps = list(steps_of(module))
    places = [place for place, (name, _) in enumerate(steps) if name in names]
    ends = [-1, *places, len(steps)]
    between = [steps[start + 1 : end] for start, end in itertools.pairwise(ends)]
    allowed = [(nn.Flatten, nn.Unflatten), *[()] * (len(between) - 2), (nn.Flatten, nn.Softmax, nn.LogSoftmax)]
    for group, more in zip(between, allowed, strict=True):
        for name, part in group:
            if type(part).__name__ not in ELEMENTWISE and not isinstance(part, more):
                advice = " (fold_batch_norm takes it in)" if "BatchNorm" in type(part).__name__ else ""
                raise TypeError(
                    f"{name!r} ({type(part).__name__}) is no activation between linear layers{advice}; only an "
                    "nn.Sequential of linear layers and activations is a chain that can be exported."
                )
    if [steps[place][0] for place in places] != list(names) or any(
        not isinstance(steps[place][1], nn.Linear) for place in places
    ):
        raise TypeError("only an nn.Sequential whose layers are Linear is a chain that can be exported.")
    return tuple(Function(tuple(part for _, part in group)).simplest() for group in between)


def steps_of(module, prefix=""):
    """Parts of nested Sequentials in the order in which they run, by name."""
    from torch import nn

    if type(module) is not nn.Sequential:
        yield prefix, module
        return
    # named_children would leave out a part that runs a second time.
    for name, part in vars(module)["_modules"].items():
        yield from steps_of(part, f"{prefix}.{name}" if prefix else name)


@dataclass(frozen=True)
class Function:
    """Parts of a module that run one after the other on arrays."""

    parts: tuple[Any, ...]

    def simplest(self):
        """This function, or one of ours that does the same without torch."""
        own = [OWN.get(type(part).__name__, self) for part in self.parts]
        own = [function for function in own if function is not identity]
        return identity if not own else own[0] if len(own) == 1 else self

    def __call__(self, array):
        """Value at an array, of its precision."""
        import torch

        with torch.no_grad():
            value = torch.tensor(np.asarray(array))
            for part in self.parts:
                value = part(value)
        return value.numpy()
