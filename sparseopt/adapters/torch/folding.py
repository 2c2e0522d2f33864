"""Batch normalisation taken into the layer before it: in evaluation both are one linear map.

    gamma (W x + b - mean) / sqrt(variance + eps) + beta  =  (s W) x + (s (b - mean) + beta),   s = gamma / sqrt(variance + eps)

with the running mean and variance (Ioffe and Szegedy, 2015).
"""

from __future__ import annotations

import itertools
import warnings

from sparseopt.adapters.torch import parts
from sparseopt.adapters.torch.chains import steps_of

SKIPPED = ("Identity", "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout")


def fold_batch_norm(module, pairs=None):
    """Return a copy of a module, in evaluation mode, whose batch normalisations are part of the layers before them.

    Outputs in evaluation mode stay, but for rounding. An nn.Identity stands where a normalisation stood, so that names and
    places of the other parts stay; a layer that had no bias gets one. Masks and parametrisations of layers become plain
    weights, and zeros stay zeros.

    Parameters
    ----------
    module : torch.nn.Module
        Untouched.
    pairs : sequence of (str, str), optional
        Names of a layer (Linear, Conv1d, Conv2d) and of the normalisation that takes its outputs, and theirs alone.
        In an nn.Sequential they are found; of other modules the forward pass is not known, so they must be given.

    Raises
    ------
    TypeError
        Where `pairs` are needed, or name other parts.
    ValueError
        Where a normalisation has no running mean, or does not fit its layer.

    Warns
    -----
    UserWarning
        Of normalisations that stay: those that do not come right after a layer.
    """
    from torch import nn

    if pairs is None and type(module) is not nn.Sequential:
        raise TypeError(
            f"which normalisation of {type(module).__name__} follows which layer is not known; "
            'say so: fold_batch_norm(module, pairs=[("conv1", "bn1"), ...]).'
        )
    module = parts.plain(module).eval()
    named = dict(module.named_modules())
    found = _found(module) if pairs is None else list(pairs)
    names = list(itertools.chain.from_iterable(found))
    for layer, normalisation in found:
        _check(named, names, layer, normalisation)
    for layer, normalisation in found:
        _fold(named[layer], named[normalisation])
        owner, _, name = normalisation.rpartition(".")
        setattr(named[owner], name, nn.Identity())
    left = [name for name, part in module.named_modules() if "BatchNorm" in type(part).__name__]
    if left:
        warnings.warn(
            f"{', '.join(map(repr, left))} of {type(module).__name__} stay: no layer comes right before them.",
            UserWarning,
            stacklevel=2,
        )
    return module


def _found(module):
    """Layers and the normalisations right after them, in an nn.Sequential; a part that runs twice is none of them."""
    steps = [(name, part) for name, part in steps_of(module) if type(part).__name__ not in SKIPPED]
    runs = [id(part) for _, part in steps]
    return [
        (before, after)
        for (before, layer), (after, part) in itertools.pairwise(steps)
        if parts.is_linear_map(layer) and _is_batch_norm(part) and runs.count(id(layer)) == runs.count(id(part)) == 1
    ]


def _is_batch_norm(part):
    return type(part).__name__ in {"BatchNorm1d", "BatchNorm2d"}


def _check(named, names, layer, normalisation):
    for name in (layer, normalisation):
        if names.count(name) > 1:
            raise TypeError(f"pairs name {name!r} {names.count(name)} times; a part goes with one other.")
        if name not in named:
            raise TypeError(f"pairs name {name!r}; the module has {', '.join(map(repr, filter(None, named)))}.")
    own, norm = named[layer], named[normalisation]
    if not parts.is_linear_map(own) or not _is_batch_norm(norm):
        raise TypeError(
            f"{layer!r} is {type(own).__name__} and {normalisation!r} {type(norm).__name__}; "
            "BatchNorm1d or BatchNorm2d goes into Linear, Conv1d or Conv2d."
        )
    if norm.running_mean is None:
        raise ValueError(
            f"{normalisation!r} has no running mean; what it does depends on the batch, and does not fold."
        )
    if norm.num_features != len(own.weight):
        raise ValueError(
            f"{normalisation!r} has {norm.num_features} channels, {layer!r} {len(own.weight)} outputs; they do not fit."
        )


def _fold(layer, norm):
    """Change a layer so that it does what it and the normalisation did."""
    import torch

    with torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight.double()
        bias = -norm.running_mean.double() if layer.bias is None else layer.bias.double() - norm.running_mean.double()
        bias = bias * scale
        bias = bias if norm.bias is None else bias + norm.bias.double()
        weight = layer.weight
        weight.copy_(weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1)))
        layer.bias = torch.nn.Parameter(bias.to(weight), requires_grad=weight.requires_grad)
