"""What a penalty is: a term g with a proximal operator."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from scipy import sparse

from sparseopt._jit import Term


class PenaltyTerm(Term):
    """A term g of the coefficients, with its value."""

    #: g is convex.
    is_convex: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, w):
        """The number g(w)."""

    @abstractmethod
    def composition(self, p):
        """A `ProximalTerm` and a sparse matrix A with g(w) = term(A w) for p coefficients."""

    def convex_form(self, p):
        """What certificates need of a convex term on p coefficients, a `ConvexForm`; None where it is not known."""
        return None

    def rejects_size(self, p):
        """Why the term cannot be applied to p coefficients, or None."""
        return None


class ProximalTerm(PenaltyTerm):
    """A term g with a prox on whole vectors, for penalties that tie coefficients together.

    Groups, sorted entries (SLOPE) and differences (total variation) are such terms. `ProximalGradient`
    takes them; a term on one coefficient at a time is a `Penalty`, which every solver takes.
    """

    @abstractmethod
    def prox_into(self, v, step, out):
        """A minimiser over w of step * g(w) + norm(w - v)**2 / 2, into `out`."""

    def private(self, p):
        """The term with memory of its own for p coefficients, for one run; itself where it needs none."""
        return self

    def composition(self, p):
        return self, sparse.csr_array(sparse.eye_array(p))


class Penalty(ProximalTerm):
    """A penalty on one coefficient at a time: g(w) = sum_j value(w_j).

    Facts that solvers and rules may rely on are declared as class attributes.
    """

    #: value(-w) = value(w), and value does not decrease with |w|.
    is_symmetric: ClassVar[bool] = False

    @abstractmethod
    def value(self, w):
        """Penalty of one coefficient."""

    @abstractmethod
    def prox(self, v, step):
        """A minimiser over w of step * value(w) + (w - v)**2 / 2, for every step > 0."""

    def value_at(self, j, w):
        """Penalty of coefficient j; rules that tell coefficients apart replace it."""
        return self.value(w)

    def prox_at(self, j, v, step):
        """Prox of coefficient j; rules that tell coefficients apart replace it."""
        return self.prox(v, step)

    def prox_into(self, v, step, out):
        """Prox of a whole vector, into `out`."""
        for j in range(v.size):
            out[j] = self.prox_at(j, v[j], step)

    def evaluate(self, w):
        """g(w), the sum over all coefficients."""
        total = 0.0
        for j in range(w.size):
            total += self.value_at(j, w[j])
        return total
