"""Constraints on supports: what they allow, and which of them contradict each other."""

import itertools
import pickle

import numpy as np
import pytest

import sparseopt as so
from sparseopt.constraints.supports import entered

X = np.random.default_rng(0).standard_normal((12, 6))
LOSS = so.LeastSquares(X, X[:, 0])
MATRIX = so.LeastSquares(X, X[:, :2])
SETS = [
    (so.Cardinality(2), lambda s: s.sum() <= 2),
    (so.RowCardinality(2), lambda s: s.sum() <= 2),
    (so.Required([0, 3]), lambda s: s[0] and s[3]),
    (so.Forbidden(5), lambda s: not s[5]),
    (so.StrongHierarchy({2: (0, 1), 4: 2}), lambda s: (not s[2] or (s[0] and s[1])) and (not s[4] or s[2])),
    (
        so.GroupCardinality(1, [[0, 4], [1, 2], [3, 5]]),
        lambda s: int(s[0] or s[4]) + int(s[1] or s[2]) + int(s[3] or s[5]) <= 1,
    ),
    (so.GroupCardinality(1, 3), lambda s: not (s[:3].any() and s[3:].any())),
]


@pytest.mark.parametrize(("constraint", "allows"), SETS, ids=lambda part: type(part).__name__)
def test_a_set_allows_what_its_sentence_says(constraint, allows):
    problem = so.Problem(LOSS, constraint=constraint)
    copied = pickle.loads(pickle.dumps(constraint))
    for bits in itertools.product([False, True], repeat=6):
        support = np.array(bits)
        assert constraint.allows(support) == copied.allows(support) == bool(allows(support))
        assert (problem.violation(0.1 * support) == 0.0) == bool(allows(support))


def test_features_of_several_responses_are_rows():
    W = np.zeros((6, 2))
    W[1, 0], W[1, 1], W[4, 1] = 1.0, 2.0, 3.0

    def violation(constraint, flat=False):
        return so.Problem(MATRIX, constraint=constraint).violation(W.ravel() if flat else W)

    for flat in (False, True):
        assert violation(so.RowCardinality(2), flat) == 0.0
        assert violation(so.RowCardinality(1), flat) == 1.0
        assert violation(so.Cardinality(2), flat) == 1.0
        assert violation(so.Required([1, 4]), flat) == 0.0
        assert violation(so.Forbidden([4, 5]), flat) == 1.0
        assert violation(so.StrongHierarchy({4: 0}), flat) == 1.0
        assert violation(so.GroupCardinality(1, 2), flat) == 1.0
        assert violation(so.Intersection(so.Box(0.0, 2.5), so.RowCardinality(2)), flat) == 0.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: so.Required(-1), "index among the features of Required must be at least 0"),
        (lambda: so.Required([0.5]), "must be a whole number"),
        (lambda: so.Required(np.array([True, False])), "indices, got booleans; pass np.flatnonzero"),
        (lambda: so.RowCardinality(-1), "k must be at least 0"),
        (lambda: so.StrongHierarchy([1, 2]), "must map a feature to its parents"),
        (lambda: so.StrongHierarchy({0: 1, 1: 2, 2: 0}), "cyclic: feature 0 is its own ancestor"),
        (lambda: so.StrongHierarchy({3: 3}), "cyclic: feature 3"),
        (lambda: so.GroupCardinality(1, [[0, 1], [3]]), "coefficient 2 is in no group"),
        (lambda: so.Problem(LOSS, constraint=so.GroupCardinality(1, [[0, 1], [2]])), "groups hold 3 of 6"),
        (lambda: so.Problem(LOSS, constraint=so.GroupCardinality(3, 3)), "k = 3 exceeds the 2 groups"),
        (lambda: so.Problem(LOSS, constraint=so.Required(6)), "Required names feature 6, but there are 6"),
        (lambda: so.Problem(LOSS, constraint=so.StrongHierarchy({1: 9})), "StrongHierarchy names feature 9"),
        (lambda: so.Problem(MATRIX, constraint=so.RowCardinality(7)), "k = 7 exceeds the 6 rows"),
        (lambda: so.Problem(MATRIX, constraint=so.Required(6)), "Required names feature 6"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((so.Cardinality(1), so.Required([0, 1])), "2 required features take 2 coefficients, but k is 1; raise k"),
        ((so.Required([0, 1]), so.Forbidden(1)), "feature 1 is both required and forbidden"),
        ((so.Cardinality(2), so.Required(4), so.StrongHierarchy({4: (0, 1)})), "with 2 parents of them, take 3"),
        ((so.Required(4), so.StrongHierarchy({4: 0}), so.Forbidden(0)), "feature 0 is both"),
        ((so.GroupCardinality(1, 3), so.Required([0, 5])), "take 2 groups, but k is 1"),
        ((so.Cardinality(1), so.Box([0.1] * 6, 1.0)), "6 required features take 6"),
        ((so.Box(-1.0, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]), so.Box(0.0, 1.0), so.Required(1)), "feature 1 is both"),
        ((so.Box(0.5, 1.0), so.Box(0.0, 0.3), so.Cardinality(2)), "nothing in common in entry 0"),
    ],
)
def test_sets_that_contradict_each_other_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        so.Problem(LOSS, constraint=so.Intersection(*parts))


def test_a_required_feature_whose_best_coefficient_is_zero_enters_by_the_smallest_number():
    """The set is open: it has no best point, but one that is as good up to rounding."""
    w = entered([0, 1, 2], np.array([0.0, 0.0, 3.0, 0.0]), lower=[-1.0, 0.0, 0.0, 0.0], upper=[0.0, 1.0, 5.0, 1.0])
    assert so.Required([0, 1, 2]).violation(w) == 0.0
    assert so.Box([-1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 5.0, 1.0]).violation(w) == 0.0
    assert np.flatnonzero(w).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("penalty", "constraint", "chooses"),
    [
        (so.Zero(), None, False),
        (so.L1(0.1), so.Box(0.0, 1.0), False),
        (so.L0(0.1), None, True),
        (so.Ridged(so.L0L1(0.1, 0.1), 0.2), so.Box(0.0, 1.0), True),
        (so.Zero(), so.Required(1), True),
        (so.Zero(), so.Intersection(so.Box(0.0, 1.0), so.GroupCardinality(1, 3)), True),
        (so.Zero(), so.Intersection(so.LinearConstraint(np.ones((1, 6)), 1.0, 1.0), so.Cardinality(2)), True),
        (so.Zero(), so.LinearConstraint(np.ones((1, 6)), 1.0, 1.0), False),
    ],
    ids=repr,
)
def test_a_problem_knows_whether_it_chooses_a_support(penalty, constraint, chooses):
    problem = so.Problem(LOSS, penalty, constraint)
    assert problem.chooses_support == chooses
    assert problem.is_convex == (not chooses and not isinstance(constraint, so.Intersection))


def test_the_certificate_of_a_subset_in_a_box_takes_a_bound_and_is_stationary_on_the_support():
    """Bounds push outwards on two coefficients, and there is no slope on the third."""
    problem = so.Problem(
        so.Quadratic(np.eye(4), [-2.0, 3.0, -0.5, 0.0]),
        so.L0(0.01),
        so.Intersection(so.Box(-1.0, 1.0), so.Cardinality(3), so.Required(2)),
    )
    there = so.certify(problem, [1.0, -1.0, 0.5, 0.0], lower_bound=-4.2)
    assert (there.proof, there.lower_bound, there.stationarity, there.violation) == ("bound", -4.2, 0.0, 0.0)
    assert there.objective == pytest.approx(-4.125 + 0.03)
    assert so.certify(problem, [0.9, -1.0, 0.5, 0.0]).stationarity == pytest.approx(1.1)
