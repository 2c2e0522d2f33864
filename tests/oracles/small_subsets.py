"""Random small problems: ties, duplicate and empty columns, deficient rank, one row, perfect fits, every kind of rule."""

import numpy as np
from scipy import sparse

import sparseopt as so

LOSSES = (
    "least squares",
    "quadratic",
    "responses",
    "logistic",
    "huber",
    "squared hinge",
    "poisson",
    "gamma",
    "quantile",
)
# Least squares have most solvers.
_SHARES = (0.5, 0.08, 0.06, 0.1, 0.08, 0.05, 0.05, 0.04, 0.04)
_SIZES, _SIZE_SHARES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12), (0.04, 0.06, 0.1, 0.15, 0.2, 0.15, 0.12, 0.1, 0.05, 0.03)


def problem_of(seed):
    """The name of its kind, and a problem; sets that contradict each other are drawn again."""
    random = np.random.default_rng(seed)
    while True:
        kind = str(random.choice(LOSSES, p=_SHARES))
        try:
            return kind, _problem(random, kind)
        except ValueError:
            continue


def ruled_problem_of(seed):
    """The name of its kind, and a problem that counts groups or rows, or has a hierarchy; what no solver takes is drawn again."""
    random = np.random.default_rng([seed, 1])
    while True:
        rule = str(random.choice(["groups", "rows", "rows with a hierarchy", "hierarchy"], p=[0.35, 0.3, 0.1, 0.25]))
        kind = "responses" if rule.startswith("rows") else "least squares" if random.random() < 0.75 else "quadratic"
        if rule == "hierarchy" and random.random() < 0.3:
            kind = str(random.choice(["logistic", "huber", "poisson"]))
        try:
            return rule, _ruled_problem(random, rule, kind)
        except ValueError:
            continue


def _ruled_problem(random, rule, kind):
    n, p = int(random.choice([1, 2, 3, 5, 8, 12, 20])), int(random.choice(_SIZES, p=_SIZE_SHARES))
    if kind not in ("least squares", "quadratic"):
        p = min(p, 5 if kind == "responses" else 7)
    X = _matrix(random, n, p)
    is_smooth = kind in ("least squares", "quadratic", "responses")
    loss = _loss(random, kind, X, _scale(random) * _targets(random, X) if is_smooth else _targets(random, X))
    parts = []
    if rule == "groups":
        labels = random.integers(0, max(p // random.integers(1, 4), 1), p)
        parts.append(so.GroupCardinality(int(random.integers(0, np.unique(labels).size + 1)), labels))
    elif rule.startswith("rows"):
        parts.append(so.RowCardinality(int(random.integers(0, p + 1))))
    elif random.random() < 0.7:
        parts.append(so.Cardinality(int(random.integers(0, p + 1))))
    if rule.endswith("hierarchy"):
        order = random.permutation(p)  # an ancestor comes before its descendants
        links = {
            int(order[i]): order[random.choice(i, random.integers(1, min(i, 2) + 1), replace=False)]
            for i in range(1, p)
            if random.random() < 0.6
        }
        parts.append(so.StrongHierarchy(links))
        if rule == "hierarchy" and random.random() < 0.25:
            parts.append(_box(random, p))
    if rule != "groups" and random.random() < 0.2:
        parts.append(so.Required(random.choice(p, 1)))
    if rule != "groups" and random.random() < 0.2:
        parts.append(so.Forbidden(random.choice(p, 1)))
    constraint = parts[0] if len(parts) == 1 else so.Intersection(*parts)
    if rule == "hierarchy":
        return so.Problem(
            loss, _penalty(random, loss, not is_smooth and not _is_bounded(constraint), constraint), constraint
        )
    penalty = so.Zero()
    if random.random() < 0.7:
        curvature = float(np.max(loss.curvatures_near(np.zeros(loss.n_features)), initial=0.0)) + 1e-3
        penalty = so.Ridged(penalty, curvature * random.choice([1e-6, 0.001, 0.01, 0.1]))
    return so.Problem(loss, penalty, constraint)


def _problem(random, kind):
    n, p = int(random.choice([1, 2, 3, 5, 8, 12, 20])), int(random.choice(_SIZES, p=_SIZE_SHARES))
    if kind not in ("least squares", "quadratic"):
        p = min(p, 5 if kind == "responses" else 7)
    X = _matrix(random, n, p)
    is_smooth = kind in ("least squares", "quadratic", "responses")
    loss = _loss(random, kind, X, _scale(random) * _targets(random, X) if is_smooth else _targets(random, X))
    constraint = _constraint(random, loss)
    # other losses may have no minimiser without a ridge or a box
    needs_ridge = not is_smooth and not _is_bounded(constraint)
    return so.Problem(loss, _penalty(random, loss, needs_ridge, constraint), constraint)


def _scale(random):
    return float(10.0 ** random.choice([0, 0, 0, 0, -5, 4]))


def _matrix(random, n, p):
    X = random.standard_normal((n, p)) if random.random() < 0.6 else random.integers(-2, 3, (n, p)).astype(float)
    if random.random() < 0.3:
        X += 2.0 * random.standard_normal((n, 1))  # correlated
    if random.random() < 0.15:
        X = random.standard_normal((n, 2)) @ random.standard_normal((2, p))
    for j in np.flatnonzero(random.random(p) < 0.1):
        X[:, j] = X[:, random.integers(p)] * random.choice([1.0, -1.0, 2.0])
    X[:, random.random(p) < 0.07] = 0.0
    X[:, random.random(p) < 0.05] = 1.0
    if random.random() < 0.15:
        X *= 10.0 ** random.integers(-3, 4, p)
    if random.random() < 0.2:
        return sparse.csc_array(X * (random.random((n, p)) < 0.6))
    return X.astype(np.float32) if random.random() < 0.05 else X


def _targets(random, X):
    n, p = X.shape
    choice = random.random()
    if choice < 0.1:
        return np.zeros(n)
    w = random.standard_normal(p) * (random.random(p) < 0.5)
    if choice < 0.2:
        return np.asarray(X @ w, dtype=float)  # a perfect fit
    y = X @ w + random.uniform(0.1, 3.0) * random.standard_normal(n) + random.choice([0.0, 10.0])
    return np.round(y) if choice < 0.4 else y


def _loss(random, kind, X, y):
    n = X.shape[0]
    if kind == "quadratic":
        dense = (X.toarray() if sparse.issparse(X) else X).astype(float)
        Q = dense.T @ dense / n
        return so.Quadratic(sparse.csc_array(Q) if random.random() < 0.2 else Q, -(dense.T @ y) / n)
    weights = None if random.random() < 0.6 else random.choice([0.0, 0.5, 1.0, 3.0], n) + (np.arange(n) == 0)
    options = {"sample_weight": weights, "intercept": bool(random.random() < 0.5)}
    if kind == "responses":
        return so.LeastSquares(X, np.column_stack([y, _targets(random, X)]), **options)
    if kind in ("least squares", "huber", "logistic", "poisson") and random.random() < 0.2:
        options["offset"] = random.standard_normal(n)
    match kind:
        case "least squares":
            return so.LeastSquares(X, y, **options)
        case "huber":
            return so.Huber(X, y, delta=random.choice([0.1, 1.0]), **options)
        case "quantile":
            return so.Quantile(X, y, quantile=random.choice([0.3, 0.5, 0.9]), smoothing=0.3, **options)
        case "poisson":
            return so.Poisson(X, np.round(np.exp(np.clip(y, -2.0, 2.0))), **options)
        case "gamma":
            return so.Gamma(X, np.exp(np.clip(y, -2.0, 2.0)), **options)
        case "logistic" | "squared hinge":
            labels = np.where(y + 0.5 * random.standard_normal(n) > np.median(y), 1.0, -1.0)
            return (so.Logistic if kind == "logistic" else so.SquaredHinge)(X, labels, **options)
    raise AssertionError(kind)


def _constraint(random, loss):
    p, rows = loss.n_features, loss.shape[0]
    is_matrix = len(loss.shape) == 2
    count = random.random()
    if count < 0.15 and not is_matrix:
        labels = random.integers(0, max(p // 2, 1), p)
        parts = [so.GroupCardinality(int(random.integers(0, np.unique(labels).size + 1)), labels)]
    elif is_matrix and count < 0.7:
        parts = [so.RowCardinality(int(random.integers(0, rows + 1)))]
    elif count < 0.85:
        parts = [so.Cardinality(int(random.choice([0, p, *random.integers(0, p + 1, 6)])))]
    else:
        parts = []
    if random.random() < 0.25:
        parts.append(_box(random, p))
    if random.random() < 0.15:
        parts.append(so.Required(random.choice(rows, random.integers(1, min(3, rows) + 1))))
    if random.random() < 0.15:
        parts.append(so.Forbidden(random.choice(rows, random.integers(0, min(3, rows) + 1))))
    if random.random() < 0.15 and rows > 2:
        links = {
            int(child): random.choice(child, random.integers(1, min(child, 2) + 1))
            for child in range(1, rows)
            if random.random() < 0.5
        }
        parts.append(so.StrongHierarchy(links))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else so.Intersection(*parts)


def _box(random, p):
    choice = random.random()
    if choice < 0.4:
        return so.Box(0.0, np.inf)
    if choice < 0.6:
        size = float(random.choice([0.1, 1.0, 10.0]))
        return so.Box(-size, size)
    lower = random.choice([-np.inf, -1.0, -0.2, 0.0], p)
    upper = random.choice([np.inf, 1.0, 0.2, 0.0], p)
    if random.random() < 0.2:
        j = random.integers(p)
        lower[j], upper[j] = 0.1, 0.5  # never zero
    return so.Box(lower, upper)


def _is_bounded(constraint):
    parts = getattr(constraint, "parts", (constraint,))
    boxes = [part for part in parts if isinstance(part, so.Box)]
    return any(np.all(np.isfinite(box.lower)) and np.all(np.isfinite(box.upper)) for box in boxes)


def _penalty(random, loss, needs_ridge, constraint):
    zero = np.zeros(loss.n_features)
    # in the units of the loss and of its slope
    height = abs(loss.evaluate(zero)) if not isinstance(loss, so.Quadratic) else float(np.abs(loss.c).max()) + 0.1
    steep = float(np.max(np.abs(loss.gradient(zero)), initial=0.0))
    alpha, beta = max(height, 1e-3) * random.choice([0.001, 0.01, 0.1]), max(steep, 1e-3) * random.choice([0.01, 0.1])
    counts = [part for part in getattr(constraint, "parts", (constraint,)) if isinstance(part, so.SupportConstraint)]
    choice = random.random()
    if choice < 0.3 or not counts:
        penalty = so.L0L1(alpha, beta) if random.random() < 0.3 else so.L0(alpha)
    elif choice < 0.4:
        penalty = so.L1(beta)
    else:
        penalty = so.Zero()
    if needs_ridge or random.random() < 0.5:
        curvature = float(np.max(loss.curvatures_near(zero), initial=0.0)) + 1e-3
        return so.Ridged(penalty, curvature * random.choice([0.001, 0.01, 0.1]))
    return penalty
