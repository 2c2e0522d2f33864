"""One of each: the terms, solvers and problems over which every law is tested."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

import sparseopt as so
from sparseopt.losses import DualLoss
from sparseopt.penalties import Boxed

RNG = np.random.default_rng(0)
N, P = 24, 7
X = RNG.standard_normal((N, P))
X[:, 2] *= 10.0
W = np.array([1.0, 0.0, -0.05, 0.0, 0.3, 0.0, 0.0])
Y = X @ W + 0.1 * RNG.standard_normal(N)
LABELS = np.where(X @ W + 0.5 * RNG.standard_normal(N) > 0, 1.0, -1.0)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
OFFSET = np.sin(np.arange(N))
COUNTS = np.floor(np.exp(X @ W + 0.5 * OFFSET)).clip(0.0, 20.0)
SIZES = np.exp(np.clip(X @ W, -3.0, 3.0) + 0.3 * OFFSET)
S = sparse.csc_array(np.where(np.abs(X) > 0.6, X, 0.0))
Q = X.T @ X / N + 0.01 * np.eye(P)
SPARSE_Q = sparse.csc_array((S.T @ S) / N + 0.01 * sparse.eye_array(P))
C = -X.T @ Y / N
OTHER = np.random.default_rng(1)
RESPONSES = X[:, :3] @ np.array([[1.0, 0.0, -0.5], [0.0, 0.2, 0.1], [0.05, 0.0, 0.1]])
RESPONSES += 0.1 * OTHER.standard_normal((N, 3))
CLASSES = np.argmax(RESPONSES + 0.5 * OTHER.standard_normal((N, 3)), axis=1)
TIMES = np.ceil(8.0 * OTHER.exponential(size=N) * np.exp(-X[:, 0]))  # whole, so that some are tied
SEEN = OTHER.random(N) < 0.7


@dataclass(frozen=True)
class LogSum(so.Penalty):
    """A penalty as a user writes it: alpha log(1 + |w|)."""

    alpha: float

    def value(self, w):
        return self.alpha * np.log1p(abs(w))

    def prox(self, v, step):
        a = abs(v)
        root = (a + 1.0) ** 2 - 4.0 * step * self.alpha
        if root <= 0.0:
            return 0.0 if a == a else v
        w = (a - 1.0 + np.sqrt(root)) / 2.0
        if w <= 0.0 or step * self.value(w) + (w - a) ** 2 / 2.0 >= a * a / 2.0:
            return 0.0
        return w if v > 0.0 else -w


PENALTIES = [
    so.Zero(),
    so.L1(0.3),
    so.L1(0.0),
    so.L0(0.2),
    so.L0(0.0),
    so.L0L1(0.2, 0.3),
    so.L0L1(0.0, 0.3),
    so.L0L1(0.2, 0.0),
    so.Ridged(so.L0L1(0.2, 0.1), 0.5),
    so.Nonnegative(so.L0L1(0.3, 0.1)),
    so.MCP(0.3),
    so.MCP(0.5, 1.5),
    so.MCP(1.0, 1.0),
    so.MCP(0.0),
    so.SCAD(0.3),
    so.SCAD(1.0, 2.1),
    so.SCAD(0.0),
    so.Ridged(so.L1(0.3), 0.5),
    so.Ridged(so.L0(0.2), 0.1),
    so.Ridged(so.MCP(0.3), 0.1),
    so.Weighted(so.L1(0.3), [0.0, 1.0, 2.5]),
    so.Weighted(so.MCP(0.3), [0.0, 0.5, 3.0]),
    so.Weighted(so.Ridged(so.L1(0.3), 0.5), [0.0, 0.5, 3.0]),
    so.Ridged(so.Weighted(so.L0(0.3), [0.0, 2.0]), 0.5),
    so.Nonnegative(so.L1(0.3)),
    so.Nonnegative(so.L0(0.3)),
    so.Nonnegative(so.SCAD(0.3)),
    so.Nonnegative(so.Zero()),
    so.Nonnegative(so.Ridged(so.Weighted(so.L1(0.3), [0.0, 2.0]), 0.5)),
    so.Weighted(so.Nonnegative(so.L1(0.3)), [0.0, 2.0]),
    Boxed(so.L1(0.3), np.array([-1.0]), np.array([2.0])),
    LogSum(0.4),
    so.Ridged(LogSum(2.0), 0.3),
    so.LogSum(0.3),
    so.LogSum(2.0, 0.01),
    so.LogSum(0.0),
    so.LHalf(0.3),
    so.LHalf(0.0),
    so.LTwoThirds(0.3),
    so.LTwoThirds(0.0),
    so.Ridged(so.LTwoThirds(0.3), 0.5),
    so.Nonnegative(so.LHalf(0.3)),
    so.Weighted(so.LogSum(0.3), [0.0, 2.0]),
]

TERMS = [
    so.SLOPE(np.linspace(2.0, 0.0, P)),
    so.SLOPE(np.full(P, 0.3)),
    so.SLOPE(np.eye(P)[0]),
    so.SLOPE.benjamini_hochberg(0.5, P),
    so.SLOPE.oscar(0.1, 0.05, P),
    so.TotalVariation(0.7),
    so.TotalVariation(100.0),
    so.TotalVariation(0.0),
    so.FusedLasso(0.3, 0.7),
    so.FusedLasso(0.3, 0.0),
    so.FusedLasso(0.0, 0.7),
    so.ExclusiveLasso(0.4, 1),
    so.ExclusiveLasso(0.4, P),
    so.ExclusiveLasso(0.4, [0, 1, 0, 1, 2, 2, 1]),
    so.ExclusiveLasso(0.0, P),
    so.GroupLasso(0.4, P),
    so.GroupLasso(0.0, P),
    so.GroupLasso(0.4, 1, [0.0, 0.0, 1.0, 2.0, 1.0, 1.0, 1.0]),
    so.GroupLasso(0.4, [[6, 0, 3], [1, 5], [2, 4]], ridge=0.5),
    so.GroupLasso(0.4, list("abcabca"), nonnegative=True),
    so.SparseGroupLasso(0.4, P),
    so.SparseGroupLasso(0.4, [[6, 0, 3], [1, 5], [2, 4]], 0.3, [0.0, 1.0, 2.0]),
    so.SparseGroupLasso(0.4, [[6, 0, 3], [1, 5], [2, 4]], nonnegative=True, ridge=0.2),
    so.GroupMCP(0.4, [[6, 0, 3], [1, 5], [2, 4]]),
    so.GroupSCAD(0.4, [[6, 0, 3], [1, 5], [2, 4]], [0.0, 1.0, 2.0]),
]


def _losses(kind, y, **options):
    return [
        kind(X, y, **options),
        kind(S, y, sample_weight=WEIGHTS, **options),
        kind(X, y, intercept=True, sample_weight=WEIGHTS, **options),
        kind(S, y, intercept=True, **options),
    ]


LOSSES = [
    *_losses(so.LeastSquares, Y + 5.0),
    so.LeastSquares(X.astype(np.float32), Y),
    so.LeastSquares(S.astype(np.float32), Y, intercept=True),
    *_losses(so.Logistic, LABELS),
    so.Logistic(X.astype(np.float32), LABELS, intercept=True),
    *_losses(so.Huber, Y + 5.0, delta=0.2),
    *_losses(so.Poisson, COUNTS),
    so.Poisson(X.astype(np.float32), COUNTS, intercept=True),
    *_losses(so.Gamma, SIZES),
    so.Gamma(S.astype(np.float32), SIZES, intercept=True),
    *_losses(so.SquaredHinge, LABELS),
    so.SquaredHinge(X.astype(np.float32), LABELS, intercept=True),
    *_losses(so.Quantile, Y + 5.0, quantile=0.3, smoothing=0.5),
    so.Quantile(X.astype(np.float32), Y, smoothing=0.5, intercept=True),
    *(
        loss
        for kind, y in (
            (so.LeastSquares, Y),
            (so.Logistic, LABELS),
            (so.Huber, Y),
            (so.Poisson, COUNTS),
            (so.Gamma, SIZES),
        )
        for loss in (kind(X, y, offset=OFFSET), kind(S, y, WEIGHTS, True, offset=OFFSET))
    ),
    so.Quadratic(Q, C),
    so.Quadratic(SPARSE_Q, C),
    so.Quadratic(Q.astype(np.float32), C),
    *_losses(so.MultiResponse, RESPONSES + 5.0),
    so.MultiResponse(X.astype(np.float32), RESPONSES, intercept=True),
    *_losses(so.Multinomial, CLASSES),
    so.Multinomial(X.astype(np.float32), CLASSES, intercept=True),
    so.Cox(X, TIMES, SEEN),
    so.Cox(S, TIMES, SEEN, "efron", WEIGHTS),
    so.Cox(S, TIMES, SEEN, "efron", strata=LABELS),
    so.Cox(X, TIMES, SEEN, sample_weight=WEIGHTS, strata=LABELS),
    so.Cox(X.astype(np.float32), TIMES, SEEN, "efron"),
]

CONSTRAINTS = [
    so.Cardinality(0),
    so.Cardinality(2),
    so.Cardinality(P),
    so.Required([1, 4]),
    so.Forbidden([0, 6]),
    so.Forbidden([]),
    so.StrongHierarchy({5: (0, 1), 6: (5,)}),
    so.GroupCardinality(1, [[6, 0, 3], [1, 5], [2, 4]]),
    so.GroupCardinality(0, 1),
    so.RowCardinality(2),
    so.Intersection(so.Cardinality(3), so.Required(1), so.Forbidden([2]), so.Box(0.0, np.inf)),
    so.Box(-0.5, 0.3),
    so.Box(np.linspace(-1.0, 0.0, P), np.inf),
    so.Box(0.2, 0.2),
    so.Simplex(),
    so.Simplex(3.0),
    so.SemiContinuous(0.2, 0.6),
    so.SemiContinuous(-0.5, np.linspace(-0.4, 0.2, P)),
    so.L1Ball(),
    so.L1Ball(0.01),
    so.LinearConstraint(np.ones((1, P)), -1.0, 1.0),
    so.LinearConstraint(sparse.csc_array(np.eye(P)), 0.0, np.inf),
    so.Intersection(so.Box(0.0, 1.0), so.LinearConstraint(np.ones((1, P)), 1.0, 1.0)),
    so.NonlinearConstraint(np.sum, -1.0, 1.0),
    so.Intersection(so.Box(0.0, 1.0), so.NonlinearConstraint(np.sum, -1.0, 1.0)),
]

SOLVERS = [
    so.WorkingSet(),
    so.WorkingSet(single_precision=False, fewest=2),
    so.CoordinateDescent(),
    so.CoordinateDescent(shuffled=True, newton=False),
    so.ProxNewton(),
    so.ProxNewton(single_precision=False, shrink=0.5, fewest=1, growth=0.0),
    so.ProximalGradient(),
    so.ProximalGradient(accelerated=False),
    so.ProximalGradient(monotone=True, restarts=False),
    so.HardThresholding(),
    so.HardThresholding(refit=False),
    so.ActiveSet(),
    so.InteriorPoint(),
    so.OperatorSplitting(),
    so.RowDescent(),
    so.CoupledNewton(),
    so.BlockDescent(),
    so.BlockDescent(continuation=False, accelerated=False),
    so.Splitting(),
    so.AugmentedLagrangian(),
]


ROWS = so.LinearConstraint(np.ones((1, P)), 1.0, 1.0)
PROBLEMS = {
    "lasso": so.Problem(so.LeastSquares(X, Y), so.L1(0.1)),
    "sparse lasso": so.Problem(so.LeastSquares(S, Y, intercept=True), so.L1(0.1)),
    "elastic net": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L1(0.1), 0.1)),
    "logistic": so.Problem(so.Logistic(X, LABELS, intercept=True), so.L1(0.05)),
    "poisson": so.Problem(so.Poisson(X, COUNTS, intercept=True, offset=OFFSET), so.L1(0.05)),
    "gamma with MCP": so.Problem(so.Gamma(S, SIZES), so.MCP(0.1)),
    "squared hinge": so.Problem(so.SquaredHinge(S, LABELS, WEIGHTS), so.L1(0.05)),
    "smoothed quantile": so.Problem(so.Quantile(X, Y, intercept=True, smoothing=0.5), so.L1(0.02)),
    "poisson subset": so.Problem(so.Poisson(X, COUNTS), constraint=so.Cardinality(2)),
    "quadratic in a box": so.Problem(so.Quadratic(Q, C), so.L1(0.01), so.Box(-0.4, 0.4)),
    "L0": so.Problem(so.LeastSquares(X, Y), so.L0(0.01)),
    "L0 in a box": so.Problem(so.LeastSquares(X, Y), so.L0(0.01), so.Box(0.0, 1.0)),
    "simplex": so.Problem(so.LeastSquares(X, Y), constraint=so.Simplex()),
    "L1 on the simplex": so.Problem(so.LeastSquares(X, Y), so.L1(0.1), so.Simplex()),
    "L1 ball": so.Problem(so.LeastSquares(X, Y), constraint=so.L1Ball()),
    "subset": so.Problem(so.LeastSquares(X, Y), constraint=so.Cardinality(2)),
    "ridged subset": so.Problem(so.Logistic(X, LABELS, intercept=True), so.Ridged(so.Zero(), 0.1), so.Cardinality(2)),
    "rows": so.Problem(so.LeastSquares(X, Y), so.L1(0.1), ROWS),
    "rows and box": so.Problem(so.Quadratic(Q, C), constraint=so.Intersection(so.Box(0.0, 1.0), ROWS)),
    "group lasso": so.Problem(so.LeastSquares(S, Y, intercept=True), so.GroupLasso(0.1, [[6, 0, 3], [1, 5], [2, 4]])),
    "logistic on groups": so.Problem(so.Logistic(X, LABELS, intercept=True), so.SparseGroupLasso(0.05, P)),
    "group MCP": so.Problem(so.LeastSquares(X, Y), so.GroupMCP(0.1, 1)),
    "responses": so.Problem(so.LeastSquares(S, RESPONSES, WEIGHTS, intercept=True), so.L1(0.05)),
    "rows of responses": so.Problem(so.LeastSquares(X, RESPONSES), so.GroupLasso(0.05, 3)),
    "multinomial": so.Problem(so.Multinomial(X, CLASSES, intercept=True), so.L1(0.05)),
    "rows of classes": so.Problem(so.Multinomial(X, CLASSES), so.GroupLasso(0.05, 3)),
    "cox": so.Problem(so.Cox(S, TIMES, SEEN, "efron"), so.L1(0.05)),
    "cox with MCP": so.Problem(so.Cox(X, TIMES, SEEN), so.MCP(0.1)),
    "classes of a subset": so.Problem(so.Multinomial(X, CLASSES), constraint=so.Cardinality(4)),
    "logistic on rows": so.Problem(so.Logistic(X, LABELS), so.L1(0.1), ROWS),
    "SLOPE": so.Problem(so.LeastSquares(X, Y), so.SLOPE.oscar(0.1, 0.01, P)),
    "fused lasso": so.Problem(so.LeastSquares(X, Y), so.FusedLasso(0.05, 0.1)),
    "worst of groups": so.Problem(so.WorstCase.over_groups(so.LeastSquares, X, Y, np.arange(N) % 3), so.L1(0.1)),
    "trend": so.Problem(so.LeastSquares(X, Y), so.TrendFiltering(0.1)),
}


def name_of(loss):
    """A short name of a loss for the list of tests."""
    design = loss.Q if isinstance(loss, so.Quadratic) else loss.X
    parts = [type(loss).__name__, type(design).__name__, str(loss.dtype)]
    if loss.intercept:
        parts.append("intercept")
    if isinstance(loss, so.Cox):
        parts += [loss.ties, "one stratum" if loss.strata is None else "strata"]
    if not isinstance(loss, so.Quadratic):
        parts.append(type(loss.sample_weight).__name__)
    if not isinstance(loss, so.Quadratic | DualLoss):
        parts.append(type(loss.offset).__name__)
    return "-".join(parts)
