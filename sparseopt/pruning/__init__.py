"""Pruning: models with few nonzero weights that behave as before."""

from sparseopt.pruning.methods import LayerwiseL0, Magnitude, Method, Scope
from sparseopt.pruning.networks import Activation, Layer, Link, Network, NumpyMLP
from sparseopt.pruning.pruned import LayerReport, Pruned, prune

__all__ = [
    "Activation",
    "Layer",
    "LayerReport",
    "LayerwiseL0",
    "Link",
    "Magnitude",
    "Method",
    "Network",
    "NumpyMLP",
    "Pruned",
    "Scope",
    "prune",
]
