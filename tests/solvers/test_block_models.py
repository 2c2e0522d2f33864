"""Models of block descent: their columns, however they are kept, are those of the data."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.working.block_models import ColumnModel


@pytest.mark.parametrize("pace", [0.3, 1.0, 7.0, np.inf])
def test_columns_that_16_bits_cannot_tell_apart_are_told_apart(pace, monkeypatch):
    """Whatever a Gram matrix costs: taken late, on the way, or at once."""
    monkeypatch.setattr("sparseopt.solvers.working.block_models._PACE", np.float64(pace))
    random = np.random.default_rng(8)
    A = random.standard_normal((1000, 60))
    X = np.hstack([A, A + 1e-4 * random.standard_normal((1000, 60))])
    y = X[:, :4].sum(axis=1) - X[:, 60:64].sum(axis=1) * 0.9 + random.standard_normal(1000)
    penalty = so.GroupLasso(1.0, 4)
    most = penalty.vanishing_factor(-so.LeastSquares(X, y).gradient(np.zeros(120)))
    problem = so.Problem(so.LeastSquares(X, y), penalty.strengthened(most / 20))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = so.solve(problem, tol=1e-10)
    assert found.status is so.Status.CONVERGED
    found.require(gap=1e-10).certificate.verify(problem)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 9, 11])
def test_a_sketch_of_groups_of_any_size_has_the_products_of_its_columns(size, monkeypatch):
    monkeypatch.setattr("sparseopt.solvers.working.block_models._PACE", np.float64(0.0))
    random = np.random.default_rng(size)
    X = np.asfortranarray(random.standard_normal((900, 132)) * np.logspace(-2, 2, 132))
    loss = so.LeastSquares(X, random.standard_normal(900))
    groups = so.GroupLasso(1.0, size).groups
    model = ColumnModel(loss, groups, sketch=loss.first_look(), single=True)
    order = np.arange(132 // size)[::-2]
    slopes = loss.gradient(np.zeros(132))
    with np.errstate(divide="ignore"):
        model.begin(loss, order, np.zeros(132), slopes)
    look, term, features = loss.first_look(), model.term, model.features
    rounded = look.sketch * look.units / 30.0  # the root of 900
    blocks = model.products_within(order, size)
    for g, block in zip(order, blocks, strict=True):
        columns = rounded[:, g * size : (g + 1) * size]
        np.testing.assert_allclose(block, columns.T @ columns, rtol=1e-12, atol=1e-12 * np.trace(block))
    first, step = int(model.where[order[1]]), random.standard_normal(size)
    term.move(model.running, first, size, step)
    here = features[first : first + size]
    image = rounded[:, here] @ step
    np.testing.assert_allclose(model.running, image, atol=1e-5 * np.abs(image).max())
    out = np.empty(size)
    term.slope_into(model.running, first, size, out)
    own = rounded[:, here].T @ image
    # sums in float32
    np.testing.assert_allclose(out - slopes[here], own, atol=1e-4 * np.abs(own).max())


def test_a_gram_matrix_that_is_taken_on_the_way_goes_on_where_the_columns_were(monkeypatch):
    random = np.random.default_rng(9)
    X = np.asfortranarray(random.standard_normal((900, 132)))
    loss, penalty = so.LeastSquares(X, X[:, :30].sum(axis=1)), so.GroupLasso(0.1, 3)
    model = ColumnModel(loss, penalty.groups, sketch=loss.first_look(), single=True)
    w = np.zeros(132)
    pace = "sparseopt.solvers.working.block_models._PACE"
    # a matrix of few groups, with room for twice as many; columns for a few more; then their matrix, too
    for known, price in ((20, np.inf), (23, 1e-9), (44, 1e-9)):
        monkeypatch.setattr(pace, np.float64(price))
        model.begin(loss, np.arange(known), w, loss.gradient(w))
        assert model.has_gram == (price == np.inf)
        model.descend(penalty, 0.0, 0.0, 6)
        w[model.features] = model.w
        assert model.has_gram == (price == np.inf)
        monkeypatch.setattr(pace, np.float64(np.inf))
        model.reconsider(1, is_over=False)
        assert model.has_gram
        # the slope of the model is that of the loss, up to the rounding of the sketch
        slopes = loss.gradient(w)[model.features]
        np.testing.assert_allclose(model.running, slopes, atol=1e-3 * np.abs(loss.gradient(np.zeros(132))).max())
