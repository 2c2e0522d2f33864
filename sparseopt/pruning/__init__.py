"""Pruning: models with few nonzero weights that behave as before."""

from sparseopt.pruning.exporting import SparseNetwork
from sparseopt.pruning.methods import LayerwiseL0, Magnitude, Method, Scope
from sparseopt.pruning.networks import Activation, Layer, Link, Network, NumpyMLP
from sparseopt.pruning.pruned import LayerReport, Pruned, prune
from sparseopt.pruning.quantisation import LayerCodes, Quantised, quantised
from sparseopt.pruning.shrinking import shrink
from sparseopt.pruning.size_report import Form, SizeReport, size_report

__all__ = [
    "Activation",
    "Form",
    "Layer",
    "LayerCodes",
    "LayerReport",
    "LayerwiseL0",
    "Link",
    "Magnitude",
    "Method",
    "Network",
    "NumpyMLP",
    "Pruned",
    "Quantised",
    "Scope",
    "SizeReport",
    "SparseNetwork",
    "prune",
    "quantised",
    "shrink",
    "size_report",
]
