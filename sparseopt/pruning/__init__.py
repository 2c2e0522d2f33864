"""Pruning: models with few nonzero weights that behave as before."""

from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_baselines import ActivationMagnitude, LayerwiseHardThresholding, LayerwiseL1, SparseGPT
from sparseopt.pruning.layer_bounds import LayerBound, certify_layer
from sparseopt.pruning.layer_exact import LayerwiseBranchAndBound
from sparseopt.pruning.layer_methods import AlternatingDirections, LayerMethod
from sparseopt.pruning.layer_stats import LayerStats, Samples
from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.loop import prune
from sparseopt.pruning.methods import Method, Score, Scored, Structure, StructuredMethod
from sparseopt.pruning.networks import Activation, Layer, Link, Network, NumpyMLP
from sparseopt.pruning.objectives import Distillation, Labels, Mixed, Objective
from sparseopt.pruning.pruned import LayerReport, Pruned, PruningStatus, Step
from sparseopt.pruning.schedules import Cubic, Exponential, Linear, OneShot, Schedule
from sparseopt.pruning.scopes import NofM, Scope
from sparseopt.pruning.scores import (
    EmpiricalFisher,
    FirstOrder,
    GradientMagnitude,
    Magnitude,
    OptimalBrainDamage,
    OptimalBrainSurgeon,
    Random,
    Wanda,
    WoodFisher,
)
from sparseopt.pruning.stopping import Iterations, QualityLoss, SparsityReached, Stop
from sparseopt.pruning.training import SGD, Adam, GradientDescent, Session, Training, gradients
from sparseopt.pruning.tuning import PruningCrossValidation, prune_cv

__all__ = [
    "SGD",
    "Activation",
    "ActivationMagnitude",
    "Adam",
    "AlternatingDirections",
    "Clock",
    "Cubic",
    "Distillation",
    "EmpiricalFisher",
    "Exponential",
    "FirstOrder",
    "GradientDescent",
    "GradientMagnitude",
    "Iterations",
    "Labels",
    "Layer",
    "LayerBound",
    "LayerMethod",
    "LayerReport",
    "LayerStats",
    "LayerwiseBranchAndBound",
    "LayerwiseHardThresholding",
    "LayerwiseL0",
    "LayerwiseL1",
    "Linear",
    "Link",
    "Magnitude",
    "Method",
    "Mixed",
    "Network",
    "NofM",
    "NumpyMLP",
    "Objective",
    "OneShot",
    "OptimalBrainDamage",
    "OptimalBrainSurgeon",
    "Pruned",
    "PruningCrossValidation",
    "PruningStatus",
    "QualityLoss",
    "Random",
    "Samples",
    "Schedule",
    "Scope",
    "Score",
    "Scored",
    "Session",
    "SparseGPT",
    "SparsityReached",
    "Step",
    "Stop",
    "Structure",
    "StructuredMethod",
    "Training",
    "Wanda",
    "WoodFisher",
    "certify_layer",
    "gradients",
    "prune",
    "prune_cv",
]
