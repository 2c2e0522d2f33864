"""Pruning: models with few nonzero weights that behave as before."""

from sparseopt.pruning.clock import Clock
from sparseopt.pruning.joint import JointL0
from sparseopt.pruning.joint_refit import JointRefit
from sparseopt.pruning.layer_stats import LayerStats, Samples
from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.loop import prune
from sparseopt.pruning.methods import Method, Score, Scored, Structure, StructuredMethod
from sparseopt.pruning.network_l0 import NetworkL0
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
from sparseopt.pruning.sparsities import prune_path
from sparseopt.pruning.stopping import Iterations, QualityLoss, SparsityReached, Stop
from sparseopt.pruning.training import SGD, Adam, GradientDescent, Session, Training, gradients
from sparseopt.pruning.tuning import PruningCrossValidation, prune_cv

__all__ = [
    "SGD",
    "Activation",
    "Adam",
    "Clock",
    "Cubic",
    "Distillation",
    "EmpiricalFisher",
    "Exponential",
    "FirstOrder",
    "GradientDescent",
    "GradientMagnitude",
    "Iterations",
    "JointL0",
    "JointRefit",
    "Labels",
    "Layer",
    "LayerReport",
    "LayerStats",
    "LayerwiseL0",
    "Linear",
    "Link",
    "Magnitude",
    "Method",
    "Mixed",
    "Network",
    "NetworkL0",
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
    "SparsityReached",
    "Step",
    "Stop",
    "Structure",
    "StructuredMethod",
    "Training",
    "Wanda",
    "WoodFisher",
    "gradients",
    "prune",
    "prune_cv",
    "prune_path",
]
