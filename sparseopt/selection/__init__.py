"""Choosing among the solutions of a path: by held-out rows, by criteria, by stability, by reweighting."""

from sparseopt.selection.criteria import InformationCriteria as InformationCriteria
from sparseopt.selection.criteria import information_criteria as information_criteria
from sparseopt.selection.cross_validation import CrossValidation as CrossValidation
from sparseopt.selection.cross_validation import cross_validate as cross_validate
from sparseopt.selection.refitting import refitted as refitted
from sparseopt.selection.reweighting import adaptive as adaptive
from sparseopt.selection.reweighting import reweighted as reweighted
from sparseopt.selection.stability import StabilitySelection as StabilitySelection
from sparseopt.selection.stability import stability_selection as stability_selection
