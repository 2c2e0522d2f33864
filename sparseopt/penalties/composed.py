"""Penalties of a linear map of the coefficients, g(w) = penalty(A w): analysis, trends, graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.designs import Design
from sparseopt.inputs import as_count, as_design, as_number
from sparseopt.penalties.base import PenaltyTerm, ProximalTerm
from sparseopt.penalties.differences import TotalVariation


@dataclass(frozen=True, eq=False)
class Composed(PenaltyTerm):
    """penalty(A w), whose prox has no formula: `Splitting` takes it.

    Parameters
    ----------
    penalty : ProximalTerm
    operator : array or sparse matrix of shape (m, p)
        A. It is factorised, so that a function that only multiplies by it does not do.
    """

    penalty: ProximalTerm
    operator: Design

    def __post_init__(self):
        if not isinstance(self.penalty, ProximalTerm):
            raise TypeError(
                f"Composed takes a penalty with a prox, got {type(self.penalty).__name__}; for example Composed(L1(0.1), A)."
            )
        if sparse.issparse(self.operator) or isinstance(self.operator, np.ndarray | list | Design):
            object.__setattr__(self, "operator", as_design(self.operator, "operator"))
        else:
            raise TypeError(
                f"operator of Composed must be a matrix, got {type(self.operator).__name__}; "
                "it is factorised: build its (sparse) matrix."
            )
        if reason := self.penalty.rejects_size(self.operator.shape[0]):
            raise ValueError(f"{reason}; operator has {self.operator.shape[0]} rows.")

    @property
    def is_convex(self):
        return self.penalty.is_convex

    def evaluate(self, w):
        image = self.operator.matvec(np.asarray(w, dtype=np.float64))
        return self.penalty.private(image.size).evaluate(image)

    def composition(self, p):
        return self.penalty, sparse.csr_array(self.operator.matrix.astype(np.float64))

    def rejects_size(self, p):
        if self.operator.shape[1] != p:
            return f"operator of Composed has {self.operator.shape[1]} columns for {p} coefficients; they must match"
        return None


@dataclass(frozen=True)
class TrendFiltering(PenaltyTerm):
    """alpha sum |differences of order k + 1 of w|: pieces of polynomials of degree k (Kim et al., 2009).

    It is the total variation of the differences of order k, and split so, which takes far fewer
    iterations than the L1 norm of those of order k + 1 (Ramdas and Tibshirani, 2016).

    Parameters
    ----------
    alpha : float >= 0
    order : int >= 0, default 1
        Degree k of the pieces: 1 is linear, 0 is `TotalVariation`.
    """

    alpha: float
    order: int = 1
    is_convex = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
        object.__setattr__(self, "order", as_count(self.order, "order"))

    def evaluate(self, w):
        return self.alpha * float(np.sum(np.abs(np.diff(np.asarray(w, dtype=np.float64), n=self.order + 1))))

    def composition(self, p):
        # (-1)**(k - i) times binomials
        steps = [(-1.0) ** (self.order - i) * math.comb(self.order, i) for i in range(self.order + 1)]
        differences = sparse.diags_array(steps, offsets=range(self.order + 1), shape=(p - self.order, p))
        return TotalVariation(self.alpha), sparse.csr_array(differences)

    def rejects_size(self, p):
        if p < self.order + 2:
            return f"TrendFiltering of order {self.order} needs at least {self.order + 2} coefficients, got {p}"
        return None
