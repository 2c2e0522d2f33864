"""Layers whose output is a solution have the slopes that finite differences show."""

import numpy as np
import pytest

import sparseopt as so

torch = pytest.importorskip("torch")

from sparseopt.adapters.torch import SolutionLayer  # noqa: E402

RNG = np.random.default_rng(3)
P = 6
FACTORS = RNG.standard_normal((P, P + 2))
Q = FACTORS @ FACTORS.T / P
ROWS = RNG.standard_normal((3, P))
EQUAL = so.LinearConstraint(ROWS[:2], 0.0, 0.0)
TWO_SIDED = so.LinearConstraint(ROWS, np.r_[0.0, -0.3, -np.inf], np.r_[0.0, 0.2, 0.1])
X = RNG.standard_normal((20, P))
Y = X @ np.r_[1.0, -1.0, np.zeros(P - 2)] + 0.1 * RNG.standard_normal(20)


def leaf(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64, requires_grad=True)


def gradients_hold(function, *tensors):
    """Central differences of solutions that are exact to 1e-10 or so are exact to 1e-4."""
    return torch.autograd.gradcheck(function, tensors, eps=1e-5, atol=1e-4, rtol=1e-4)


def test_slopes_in_the_linear_term_and_right_hand_sides():
    layer = SolutionLayer(so.Problem(so.Quadratic(Q, np.zeros(P)), constraint=EQUAL))
    c, b = leaf(RNG.standard_normal(P)), leaf([0.3, -0.2])
    assert gradients_hold(lambda c, b: layer(linear=c, row_lower=b, row_upper=b), c, b)


def test_slopes_in_sides_and_bounds():
    problem = so.Problem(
        so.Quadratic(Q, RNG.standard_normal(P)), constraint=so.Intersection(TWO_SIDED, so.Box(-0.5, 0.4))
    )
    layer = SolutionLayer(problem)
    upper, lower = leaf(np.full(P, 0.4)), leaf(np.full(P, -0.5))
    assert gradients_hold(lambda lower, upper: layer(lower=lower, upper=upper), lower, upper)
    high = leaf(np.r_[0.05, 0.2, 0.1])
    low = torch.tensor([-1.0, -0.3, -np.inf], dtype=torch.float64)
    assert gradients_hold(lambda high: layer(row_lower=low, row_upper=high), high)


@pytest.mark.parametrize("alpha", [0.1, np.linspace(0.05, 0.2, P)])
def test_slopes_in_targets_and_the_l1_term(alpha):
    layer = SolutionLayer(
        so.Problem(so.LeastSquares(X, np.zeros(20)), so.L1(1.0), so.LinearConstraint(np.ones((1, P)), 0.0, 0.0))
    )
    w = layer(targets=leaf(Y), alpha=leaf(alpha))
    assert (w == 0.0).any()
    assert gradients_hold(lambda y, a: layer(targets=y, alpha=a), leaf(Y), leaf(alpha))


def test_a_batch_is_one_problem_after_another_and_shares_what_has_none():
    layer = SolutionLayer(so.Problem(so.Quadratic(Q, np.zeros(P)), constraint=EQUAL))
    c, b = leaf(RNG.standard_normal((3, P))), leaf([0.3, -0.2])
    w = layer(linear=c, row_lower=b, row_upper=b)
    assert w.shape == (3, P)
    for k in range(3):
        assert torch.equal(w[k], layer(linear=c[k], row_lower=b, row_upper=b))
    assert gradients_hold(lambda c, b: layer(linear=c, row_lower=b, row_upper=b), c, b)


def test_it_trains_inside_of_a_model_in_single_precision():
    """The slope of the loss leads to the linear term whose solution was asked for."""
    layer = SolutionLayer(so.Problem(so.Quadratic(Q + np.eye(P), np.zeros(P)), constraint=so.Simplex()))
    torch.manual_seed(0)  # a solution that begins in the wrong corner has no slope
    model = torch.nn.Linear(2, P)
    inputs = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    wanted = torch.eye(P)[:2]
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    first = None
    for _ in range(20):
        optimizer.zero_grad()
        loss = ((layer(linear=model(inputs)) - wanted) ** 2).sum()
        loss.backward()
        optimizer.step()
        first = first or loss.item()
    assert loss.item() < first / 2
    assert layer(linear=model(inputs)).dtype == torch.float32
    assert "Quadratic of 6" in repr(layer)


def test_what_has_no_solution_or_no_such_data_is_said():
    problem = so.Problem(so.Quadratic(Q, np.zeros(P)), constraint=so.Intersection(EQUAL, so.Box(-1.0, 1.0)))
    layer = SolutionLayer(problem)
    far = leaf([100.0, 100.0])
    with pytest.raises(so.NotCertified, match="INFEASIBLE"):
        layer(row_lower=far, row_upper=far)
    with pytest.raises(TypeError, match="targets"):
        layer(targets=far)
    with pytest.raises(TypeError, match="no data 'b'"):
        layer(b=far)
    with pytest.raises(ValueError, match="batches"):
        layer(lower=torch.zeros(2, P), upper=torch.ones(3, P))
    with pytest.raises(so.UnsupportedProblem, match="no quadratic loss"):
        SolutionLayer(so.Problem(so.Logistic(X, Y > 0)))
