"""Best subsets under losses on samples, proven: against brute force, at any point, and where nothing can be proven."""

import numpy as np
import pytest
from brute_force import best_value

import sparseopt as so
from sparseopt.solvers.trees.sample_relaxation import SampleRelaxation
from sparseopt.solvers.trees.tree import OUT
from sparseopt.subsets import SubsetProblem

N, P = 24, 6


def drawn(kind, seed, **options):
    """A small loss of a kind, with a column twice and one of zeros."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((N, P)) + 0.5 * random.standard_normal((N, 1))
    X[:, 4], X[:, 5] = X[:, 1], 0.0
    z = X[:, 0] - 0.7 * X[:, 1]
    labels = np.where(random.random(N) < 1.0 / (1.0 + np.exp(-2.0 * z)), 1.0, -1.0)
    match kind:
        case "logistic":
            return so.Logistic(X, labels, **options)
        case "squared hinge":
            return so.SquaredHinge(X, labels, **options)
        case "huber":
            return so.Huber(X, z + random.standard_cauchy(N), delta=0.8, **options)
        case "poisson":
            return so.Poisson(X, random.poisson(np.exp(z)).astype(float), **options)
        case "gamma":
            return so.Gamma(X, np.exp(z) * random.gamma(2.0, 0.5, N), **options)
    raise ValueError(kind)


def sometimes(seed):
    """Weights, some of them zero, an intercept and an offset, each for some seeds."""
    random = np.random.default_rng(seed)
    options = {"intercept": bool(seed % 2)}
    if seed % 3 == 0:
        options["sample_weight"] = random.integers(0, 3, N).astype(float)
    if seed % 5 == 0:
        options["offset"] = random.standard_normal(N)
    return options


KINDS = ("logistic", "squared hinge", "huber", "poisson", "gamma")
SETTINGS = (
    (so.Ridged(so.Zero(), 0.05), so.Cardinality(2)),
    (so.Ridged(so.L0(0.02), 0.01), None),
    (so.Ridged(so.L0L1(0.01, 0.02), 0.1), so.Cardinality(3)),
    (so.Zero(), so.Intersection(so.Cardinality(2), so.Box(-0.4, 0.5))),
    (so.L0(0.01), so.Intersection(so.Required([3]), so.Forbidden([0]), so.Box(0.0, 2.0))),
    (so.Ridged(so.Zero(), 1e-3), so.Cardinality(0)),
    (so.Ridged(so.Zero(), 1e-3), so.Cardinality(P)),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", range(len(SETTINGS)))
def test_branch_and_bound_proves_the_best_of_all_supports(kind, setting):
    penalty, constraint = SETTINGS[setting]
    problem = so.Problem(drawn(kind, setting, **sometimes(setting)), penalty, constraint)
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    best = best_value(problem)
    assert found.status is so.Status.CONVERGED
    assert found.certificate.objective <= best + 2e-6 * found.certificate.reference
    assert found.certificate.lower_bound <= best + 1e-12 * found.certificate.reference
    found.certificate.verify(problem)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [False, True])
def test_every_point_bounds_the_optimum(kind, intercept):
    """Also one where the intercept is far from its best, so that slopes do not sum to zero."""
    problem = so.Problem(drawn(kind, 1, intercept=intercept), so.Ridged(so.L0(0.01), 0.1), so.Cardinality(2))
    relaxation = SampleRelaxation(problem.loss, SubsetProblem.of(problem))
    best, random = best_value(problem), np.random.default_rng(0)
    for _ in range(30):
        w = random.standard_normal(P) * random.choice([0.01, 0.3, 3.0], P)
        on = np.flatnonzero(w)
        start = (on, w[on], float(random.normal()) if intercept else 0.0, 0.02, None, -np.inf)
        # a threshold that every bound reaches ends the work at the first point
        bound = relaxation.relax(relaxation.first_status(), start, -1e300, np.inf).bound
        assert bound <= best


def test_a_relaxation_fixes_no_feature_of_the_best_support():
    """At thresholds that leave the root open, and it has to fix some."""
    removed = 0
    for seed in range(6):
        problem = so.Problem(drawn("logistic", seed), so.Ridged(so.Zero(), 0.05), so.Cardinality(2))
        relaxation = SampleRelaxation(problem.loss, SubsetProblem.of(problem))
        found = so.solve(problem, so.BranchAndBound(), tol=1e-6)
        status = relaxation.first_status()
        relaxation.relax(status, None, found.certificate.objective * 1.01, np.inf)
        removed += np.count_nonzero(status == OUT)
        assert not np.any(status[found.support] == OUT)
    assert removed > 0


@pytest.mark.parametrize("kind", ["logistic", "huber", "poisson"])
def test_room_for_few_members_changes_no_answer(kind, monkeypatch):
    """What members there are is a matter of speed: those of old nodes are forgotten, and come back."""
    problem = so.Problem(drawn(kind, 3, intercept=True), so.Ridged(so.Zero(), 1e-3), so.Cardinality(2))
    monkeypatch.setattr("sparseopt.solvers.trees.sample_work._ROOM", 1)
    monkeypatch.setattr("sparseopt.solvers.trees.sample_work._MOST_ROOM", 2)
    few = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-6)
    assert few.status is so.Status.CONVERGED
    assert few.certificate.objective <= best_value(problem) + 2e-6 * few.certificate.reference
    few.certificate.verify(problem)


def test_members_alone_give_no_bound():
    """They are looked at first, without features that may take off more: what they say is not noted as a bound."""
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 12))
    y = np.where(X[:, :4].sum(axis=1) + random.standard_normal(60) > 0, 1.0, -1.0)
    problem = so.Problem(so.Logistic(X, y), so.Ridged(so.Zero(), 0.02), so.Cardinality(3))
    best = best_value(problem)
    relaxation = SampleRelaxation(problem.loss, SubsetProblem.of(problem))
    for low in (0.5, 0.9, 0.99, 1.0):
        status = relaxation.first_status()
        assert relaxation.relax(status, None, low * best, np.inf).bound <= best


def test_sparse_and_single_precision_data_prove_the_same():
    from scipy import sparse

    random = np.random.default_rng(3)
    X = random.standard_normal((40, 12)) * (random.random((40, 12)) < 0.4)
    y = np.where(X[:, 0] - X[:, 3] + 0.3 * random.standard_normal(40) > 0, 1.0, -1.0)
    objectives = []
    for data in (X, sparse.csc_array(X), X.astype(np.float32)):
        problem = so.Problem(so.Logistic(data, y, intercept=True), so.Ridged(so.Zero(), 0.05), so.Cardinality(3))
        found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-5)
        found.certificate.verify(problem)
        objectives.append(found.certificate.objective)
    assert np.ptp(objectives) <= 3e-5 * objectives[0]


@pytest.mark.parametrize("scale", [1e-60, 1e-6, 1e6, 1e60])
def test_units_do_not_matter(scale):
    loss = drawn("logistic", 4)
    problem = so.Problem(loss, so.Ridged(so.Zero(), 0.1), so.Cardinality(2))
    X = loss.X.to_array() * scale
    scaled = so.Problem(so.Logistic(X, loss.y), so.Ridged(so.Zero(), 0.1 * scale**2), so.Cardinality(2))
    ours, other = (so.solve(one, so.BranchAndBound(), tol=1e-7) for one in (problem, scaled))
    assert other.status is so.Status.CONVERGED
    assert abs(ours.certificate.objective - other.certificate.objective) <= 2e-7


def test_what_cannot_be_bounded_is_refused_with_what_to_add():
    loss = drawn("logistic", 0)
    with pytest.raises(so.UnsupportedProblem, match="add a ridge"):
        so.solve(so.Problem(loss, so.Zero(), so.Cardinality(2)), so.BranchAndBound())
    half = so.Intersection(so.Cardinality(2), so.Box(0.0, np.inf))
    with pytest.raises(so.UnsupportedProblem, match="add a ridge"):
        so.solve(so.Problem(loss, so.Zero(), half), so.BranchAndBound())


def test_a_time_limit_leaves_an_honest_gap():
    random = np.random.default_rng(0)
    X = random.standard_normal((100, 200))
    y = np.where(X[:, :20].sum(axis=1) + 5 * random.standard_normal(100) > 0, 1.0, -1.0)
    problem = so.Problem(so.Logistic(X, y), so.Ridged(so.Zero(), 1e-3), so.Cardinality(15))
    found = so.solve(problem, so.BranchAndBound(keep_proof=True), tol=1e-9, time_limit=1.0)
    assert found.status is so.Status.TIME_LIMIT
    assert found.support.size == 15
    assert -np.inf < found.certificate.lower_bound < found.certificate.objective
    found.certificate.verify(problem)
