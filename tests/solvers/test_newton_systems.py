"""Newton systems: each solves the matrix it stands for, whatever it eliminates first."""

import gc

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._jit import is_compiled, kernel
from sparseopt.kernels import interior
from sparseopt.kernels.linked import linked
from sparseopt.solvers.quadratic.newton_choice import newton_system
from sparseopt.solvers.quadratic.newton_systems import CholeskySystem
from sparseopt.solvers.quadratic.quadratic_products import Products, scaled_products
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram


@kernel
def solved(system, D, E, r, t, w, nu):
    """Solution for these diagonals, in place; whether the factorisation went well."""
    went_well = system.factorise(D, E)
    system.solve(r, t, w, nu)
    return went_well


def program_of(rng, p=12, m=7, coupled=4, is_sparse=False, factor=None):
    """A program whose matrix couples the first coefficients only."""
    M = np.zeros((p, p))
    B = rng.standard_normal((coupled, coupled))
    M[:coupled, :coupled] = B @ B.T
    A = np.where(rng.random((m, p)) < 0.4, rng.standard_normal((m, p)), 0.0)
    matrix = None if factor is not None else M
    if is_sparse:
        matrix, A = sparse.csc_array(M), sparse.csc_array(A)
    low = rng.standard_normal(m)
    high = np.where(np.arange(m) < 3, low, low + 1.0)
    bound = np.full(p, np.inf)
    return QuadraticProgram(
        matrix, factor, rng.random(p), rng.standard_normal(p), A, low, high, -bound, bound, np.zeros(p)
    )


def whole_matrix(program, scales, D, E):
    """[P + D, A'; A, -E] of the scaled program."""
    scaled = program.scaled(*scales)
    P = np.diag(scaled.ridge + D)
    for part in (scaled.matrix, None if scaled.factor is None else scaled.factor.T @ scaled.factor):
        P = P + (0.0 if part is None else part.toarray() if sparse.issparse(part) else part)
    A = scaled.A.toarray() if sparse.issparse(scaled.A) else scaled.A
    return np.block([[P, A.T], [A, -np.diag(E)]])


@kernel
def products_of(system, x, y, curved, image, pulled):
    """The products of a system with x and y, in place."""
    system.curve(x, curved)
    system.image(x, image)
    system.pull(y, pulled)


KINDS = ("rows", "coefficients", "low rank", "pivoting", "sparse")


def system_of(kind, rng):
    """A program, its scales and a system of this kind."""
    factor = rng.standard_normal((2, 12)) if kind == "low rank" else None
    program = program_of(rng, is_sparse=kind == "sparse", factor=factor)
    scales = np.exp(rng.standard_normal(12) / 3), np.exp(rng.standard_normal(7) / 3), 0.7
    products, equal = Products.of(program), np.arange(3)
    ridge = scales[2] * program.ridge * scales[0] ** 2
    if kind == "coefficients":
        system = CholeskySystem.of(program, scales, scaled_products(products, scales, ridge), np.arange(12), equal)
    else:
        system = newton_system(program, products, scales, ridge, equal)
    return program, scales, system.harder() if kind == "pivoting" else system


@pytest.mark.parametrize("by_address", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_system_solves_the_matrix_it_stands_for(kind, by_address):
    rng = np.random.default_rng(0)
    program, scales, system = system_of(kind, rng)
    D, E = rng.random(12), rng.random(7)
    r, t, w, nu = rng.standard_normal(12), rng.standard_normal(7), np.empty(12), np.empty(7)
    expected = np.linalg.solve(whole_matrix(program, scales, D, E), np.append(r, t))
    if by_address:
        system = linked(system)
        gc.collect()  # the memory of the fields must live as long as the link
    assert solved(system, D, E, r.copy(), t.copy(), w, nu)
    assert np.append(w, nu) == pytest.approx(expected, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_products_by_address_are_those_of_the_system(kind):
    rng = np.random.default_rng(1)
    program, scales, system = system_of(kind, rng)
    x, y, scaled = rng.standard_normal(12), rng.standard_normal(7), program.scaled(*scales)
    curved, image, pulled = np.empty(12), np.empty(7), np.empty(12)
    products_of(linked(system), x, y, curved, image, pulled)
    assert curved == pytest.approx(scaled.curve(x))
    assert image == pytest.approx(scaled.A @ x)
    assert pulled == pytest.approx(y @ scaled.A)


@pytest.mark.parametrize("kind", ["rows", "coefficients", "sparse"])
def test_a_system_knows_the_curvatures_of_the_scaled_program(kind):
    program, scales, system = system_of(kind, np.random.default_rng(2))
    scaled = program.scaled(*scales)
    assert system.curvatures == pytest.approx(scaled.matrix.diagonal() + scaled.ridge)


def test_the_iterations_are_compiled_once_for_all_systems():
    """A version for each kind of system was most of the time of a first solve."""
    if not is_compiled():
        pytest.skip("nothing is compiled")
    for Q in (np.eye(3), sparse.eye_array(300, format="csc")):
        p = Q.shape[0]
        found = so.solve(so.Problem(so.Quadratic(Q, np.full(p, -2.0)), constraint=so.Box(0.0, 1.0)), so.InteriorPoint())
        assert found.w == pytest.approx(np.ones(p))
    for loop in (interior.begin, interior.iterate):
        assert len(loop.signatures) == 1


def test_what_a_program_lends_is_not_scaled_in_place():
    program = program_of(np.random.default_rng(1))
    before = program.matrix.copy(), program.A.copy()
    products = Products.of(program)
    newton_system(program, products, (np.full(12, 2.0), np.full(7, 3.0), 0.5), program.ridge, np.arange(3))
    assert np.array_equal(program.matrix, before[0])
    assert np.array_equal(program.A, before[1])
