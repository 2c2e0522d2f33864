"""Pruning: models with few nonzero weights that behave as before."""

from sparseopt.pruning.best_subset import BestSubset
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.exporting import SparseNetwork
from sparseopt.pruning.feature_methods import InformationGain, LassoFeatures, MutualInformation, RecursiveElimination
from sparseopt.pruning.features import FeatureMethod, prune_features
from sparseopt.pruning.joint import JointL0
from sparseopt.pruning.joint_refit import JointRefit
from sparseopt.pruning.layer_baselines import ActivationMagnitude, LayerwiseHardThresholding, LayerwiseL1, SparseGPT
from sparseopt.pruning.layer_bounds import LayerBound, certify_layer
from sparseopt.pruning.layer_exact import LayerwiseBranchAndBound
from sparseopt.pruning.layer_methods import AlternatingDirections, LayerMethod
from sparseopt.pruning.layer_stats import LayerStats, Samples
from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.loop import prune
from sparseopt.pruning.methods import Method, Score, Scored, Structure, StructuredMethod
from sparseopt.pruning.network_l0 import NetworkL0
from sparseopt.pruning.networks import Activation, Layer, Link, Network, NumpyMLP
from sparseopt.pruning.neuron_methods import (
    ActivationEntropy,
    ActivationSparsity,
    ActivationVariance,
    Contribution,
    IncomingNorm,
    OutgoingNorm,
    RandomNeurons,
)
from sparseopt.pruning.neurons import GroupSelection, NeuronMethod, kept_neurons, prune_neurons
from sparseopt.pruning.objectives import Distillation, Labels, Mixed, Objective
from sparseopt.pruning.pruned import LayerReport, Pruned, PruningStatus, Step
from sparseopt.pruning.quantisation import LayerCodes, Quantised, quantised
from sparseopt.pruning.relay import Relay
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
from sparseopt.pruning.shrinking import shrink
from sparseopt.pruning.size_report import Form, SizeReport, size_report
from sparseopt.pruning.sparsities import prune_path
from sparseopt.pruning.stopping import Iterations, QualityLoss, SparsityReached, Stop
from sparseopt.pruning.training import SGD, Adam, GradientDescent, Session, Training, gradients
from sparseopt.pruning.tuning import PruningCrossValidation, prune_cv

__all__ = [
    "SGD",
    "Activation",
    "ActivationEntropy",
    "ActivationMagnitude",
    "ActivationSparsity",
    "ActivationVariance",
    "Adam",
    "AlternatingDirections",
    "BestSubset",
    "Clock",
    "Contribution",
    "Cubic",
    "Distillation",
    "EmpiricalFisher",
    "Exponential",
    "FeatureMethod",
    "FirstOrder",
    "Form",
    "GradientDescent",
    "GradientMagnitude",
    "GroupSelection",
    "IncomingNorm",
    "InformationGain",
    "Iterations",
    "JointL0",
    "JointRefit",
    "Labels",
    "LassoFeatures",
    "Layer",
    "LayerBound",
    "LayerCodes",
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
    "MutualInformation",
    "Network",
    "NetworkL0",
    "NeuronMethod",
    "NofM",
    "NumpyMLP",
    "Objective",
    "OneShot",
    "OptimalBrainDamage",
    "OptimalBrainSurgeon",
    "OutgoingNorm",
    "Pruned",
    "PruningCrossValidation",
    "PruningStatus",
    "QualityLoss",
    "Quantised",
    "Random",
    "RandomNeurons",
    "RecursiveElimination",
    "Relay",
    "Samples",
    "Schedule",
    "Scope",
    "Score",
    "Scored",
    "Session",
    "SizeReport",
    "SparseGPT",
    "SparseNetwork",
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
    "kept_neurons",
    "prune",
    "prune_cv",
    "prune_features",
    "prune_neurons",
    "prune_path",
    "quantised",
    "shrink",
    "size_report",
]
