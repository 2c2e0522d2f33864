"""Paths of 20 alphas, from alpha_max down, of models beside the lasso; `models.py` has their formulas."""

import numpy as np

from benchmarks.glm_path.models import MODELS, slope_sequence
from benchmarks.grammar import PathObjective


class Objective(PathObjective):
    """Poisson, Huber, Cox, multinomial (grouped or not), multi-response and SLOPE to a common gap at the worst point of a path."""

    name = "Paths of generalised linear models"
    parameters = {"alpha_max_over": [20]}
    points = 20

    @property
    def model(self):
        return MODELS[self.rest["model"]]

    def largest_alpha(self):
        return self.model.largest_alpha(self.X, self.y)

    def grade(self, w, alpha):
        columns = self.model.prepared(self.y).shape[1:] if self.rest["model"] != "Cox" else ()
        return self.model.grade(self.X, self.y, np.reshape(w, (self.X.shape[1], *columns)), alpha)

    def get_objective(self):
        path = {"alpha": self.alpha, "alpha_max": self.alpha_max, "alphas": self.alphas}
        # what only one of the models has
        rest = {"sequence": slope_sequence(self.X.shape[1]), "delta": MODELS["Huber"].delta}
        return {"X": self.X, "y": self.y, **path, **rest, **self.rest}
