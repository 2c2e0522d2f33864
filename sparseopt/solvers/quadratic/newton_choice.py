"""Which Newton system a program gets."""

import numpy as np

from sparseopt.curvature import fills_up
from sparseopt.parts import at_once
from sparseopt.solvers.quadratic import linear_systems
from sparseopt.solvers.quadratic.newton_systems import NewtonSystem, dense_system, in_full
from sparseopt.solvers.quadratic.quadratic_products import Products, scaled_products
from sparseopt.solvers.quadratic.sparse_newton import SparseNewtonSystem

# Sparse operations that take the time of one dense operation, and what a dense matrix may have of coefficients.
_ADVANTAGE, _LARGEST_DENSE = 1 / 4, 8000


def newton_system(program, products, scales, ridge, equal) -> NewtonSystem:
    """The cheapest Newton system for a program in scaled units, whose products in the user's are given."""
    return at_once(newton_system_in_pieces(program, products, scales, ridge, lambda: equal))


def newton_system_in_pieces(program, products, scales, ridge, find_equal):
    """`newton_system`, in pieces; which rows are equalities is asked where that matters."""
    if program.is_sparse:
        if program.matrix is None or not fills_up(program.matrix):
            system = yield from SparseNewtonSystem.in_pieces(program, scales, scaled_products(products, scales, ridge))
            if not _fills_up(program, system):
                return system
        program = in_full(program)
        products = Products.of(program)
        yield
    scaled = scaled_products(products, scales, ridge)
    yield
    return dense_system(program, scales, scaled, find_equal())


def active_system(scaled) -> linear_systems.System:
    """A system of the active sets of a scaled program."""
    if scaled.is_sparse:
        return linear_systems.SparseSystem(scaled, 0.0, None)
    nothing = np.zeros(0)  # the full systems of a splitting method are not asked for
    if scaled.matrix is None:
        return linear_systems.LowRankSystem(scaled, 0.0, nothing)
    return linear_systems.DenseSystem(scaled, nothing, nothing, nothing)


def _fills_up(program, system):
    """Whether the factor of a sparse matrix has so many entries that a dense one is made in less time."""
    p = program.q.size
    return p <= _LARGEST_DENSE and system.work > _ADVANTAGE * (p**3 / 3 + p * p * program.A.shape[0])
