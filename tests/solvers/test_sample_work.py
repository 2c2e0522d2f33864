"""The model on which nodes of a tree under a loss on samples make their steps."""

import sys

import numpy as np
import pytest

import sparseopt as so
from sparseopt.kernels import sample_nodes as kernels
from sparseopt.solvers.trees.sample_relaxation import SampleRelaxation
from sparseopt.solvers.trees.tree import OUT
from sparseopt.subsets import SubsetProblem


def relaxation_of(scales=1.0, *, intercept=False):
    random = np.random.default_rng(5)
    X = random.standard_normal((80, 40))
    y = np.where(X[:, :3].sum(axis=1) + random.standard_normal(80) > 0, 1.0, -1.0)
    problem = so.Problem(so.Logistic(X * scales, y, intercept=intercept), so.Ridged(so.Zero(), 0.02), so.Cardinality(3))
    return SampleRelaxation(problem.loss, SubsetProblem.of(problem))


def assert_products(work):
    """The Gram matrix of the members is that of their columns under the curvature, to the digits of float32."""
    m = work.counts[kernels.MEMBERS]
    rows = work.view.rows[work.members[:m]]
    if work.view.loss.intercept:
        rows = rows - (rows @ work.bends / work.total)[:, None]
    products = (rows * work.bends) @ rows.T
    sizes = np.sqrt(products.diagonal())
    assert np.all(np.abs(work.gram[:m, :m] - products) <= 1e-5 * np.outer(sizes, sizes))
    assert np.array_equal(work.slots[work.members[:m]], np.arange(m))
    assert np.count_nonzero(work.slots >= 0) == m


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("spread", [0.0, 15.0])
def test_products_of_members_survive_more_room(intercept, spread, monkeypatch):
    """Also where units are so far apart that columns are scaled before they become single."""
    monkeypatch.setattr("sparseopt.solvers.trees.sample_work._ROOM", 4)
    work = relaxation_of(10.0 ** np.linspace(-spread, spread, 40), intercept=intercept).work
    status = np.zeros(40, dtype=np.int8)
    for features in ([7, 3], [20, 1, 30, 0], [5], np.arange(31, 40)):
        work.join(np.asarray(features), status)
        assert_products(work)
    work.admit(np.arange(20), status)
    assert_products(work)
    assert np.all(work.slots[:20] >= 0)


def test_children_begin_where_their_parent_ended():
    """Its fitted values are carried over, less what features that are out took part in."""
    relaxation = relaxation_of(intercept=True)
    status = relaxation.first_status()
    found = relaxation.relax(status, None, 0.68, np.inf)
    assert found.unit >= 0
    relaxation.last = None
    child = status.copy()
    child[found.start[0][0]] = OUT
    # a threshold that every bound reaches ends the work at the first point
    relaxation.relax(child, found.start, -1e300, np.inf)
    work = relaxation.work
    assert work.w[found.start[0][0]] == 0.0
    assert np.max(np.abs(work.point.eta - work.view.fitted(work.w, work.intercept))) <= 1e-12


def test_a_tree_asks_for_no_slope_at_zero(monkeypatch):
    """It ends by its own bound, and nothing else has to be measured on the way."""

    def asked(loss):
        raise AssertionError("the slope at zero is one more product with X")

    monkeypatch.setattr(sys.modules["sparseopt.watch"], "slope_at_zero", asked)
    problem = so.Problem(relaxation_of().loss, so.Ridged(so.Zero(), 0.02), so.Cardinality(3))
    assert so.solve(problem, so.BranchAndBound()).status is so.Status.CONVERGED


@pytest.mark.parametrize(("kind", "level"), [(so.Huber, 0.0), (so.Poisson, 1.0)])
def test_the_first_look_may_prove_that_nothing_pays(kind, level):
    """Of a perfect fit at zero: it closes before the tree begins, which then begins where it ended."""
    X = np.random.default_rng(2).standard_normal((40, 20))
    problem = so.Problem(kind(X, np.full(40, level)), so.Ridged(so.Zero(), 0.1), so.Cardinality(3))
    solution = so.solve(problem, so.BranchAndBound())
    assert solution.support.size == 0
    solution.require(gap=1e-6)
