"""Trees of bounds, built by hand: those that hold are accepted, and every one that was tampered with is not."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from brute_force import refits
from scipy import sparse

import sparseopt as so
from sparseopt.proofs.bound_data import ProblemData
from sparseopt.proofs.bound_losses import conjugate, slopes
from sparseopt.proofs.bound_tree import BoundTree, ProofNode, _Bound

RNG = np.random.default_rng(0)
N, P = 15, 5
X = RNG.standard_normal((N, P)) + 1.0
X[:, 4] = X[:, 1]  # twice the same
Y = X @ [1.0, -1.0, 0.0, 0.5, 0.0] + 0.5 * RNG.standard_normal(N)
WEIGHTS = RNG.uniform(0.1, 2.0, N)
LABELS, COUNTS, SIZES = np.sign(Y - np.median(Y) + 1e-9), np.round(np.exp(Y.clip(-2, 2))), np.exp(Y.clip(-3, 3))
OFFSET = np.sin(np.arange(N))
RIDGE = so.Ridged(so.Zero(), 0.1)
BOX = so.Box([-0.3, 0.0, -np.inf, 0.1, -1.0], [0.4, np.inf, np.inf, 0.6, 0.0])
GROUPS = [[0, 4], [1], [2, 3]]
RESPONSES = np.column_stack([Y, X[:, 2] + 0.3 * RNG.standard_normal(N)])
TWO = so.Cardinality(2)
NOTHING = np.empty(0, dtype=int)

PROBLEMS = {
    "least squares": so.Problem(so.LeastSquares(X, Y), RIDGE, TWO),
    "weights and intercept": so.Problem(so.LeastSquares(X, Y, WEIGHTS, True, offset=OFFSET), RIDGE, TWO),
    "sparse": so.Problem(so.LeastSquares(sparse.csc_array(X), Y, intercept=True), RIDGE, TWO),
    "single precision": so.Problem(so.LeastSquares(X.astype(np.float32), Y, WEIGHTS, True), RIDGE, TWO),
    "no ridge": so.Problem(so.LeastSquares(X, Y, intercept=True), constraint=so.Cardinality(3)),
    "priced": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0(0.05), 0.1)),
    "priced and counted": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L0L1(0.05, 0.1), 0.1), TWO),
    "L1": so.Problem(so.LeastSquares(X, Y), so.Ridged(so.L1(0.1), 0.1), TWO),
    "box": so.Problem(so.LeastSquares(X, Y), so.L0L1(0.02, 0.01), so.Intersection(TWO, BOX)),
    "none": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Cardinality(0)),
    "all": so.Problem(so.LeastSquares(X, Y), RIDGE, so.Cardinality(P)),
    "one row": so.Problem(so.LeastSquares(X[:1], Y[:1]), RIDGE, TWO),
    "in and out": so.Problem(
        so.LeastSquares(X, Y), RIDGE, so.Intersection(so.Cardinality(3), so.Required(2), so.Forbidden(0))
    ),
    "hierarchy": so.Problem(
        so.LeastSquares(X, Y), so.Ridged(so.L0(0.01), 0.1), so.Intersection(so.Cardinality(3), so.StrongHierarchy({3: 0, 4: (1, 3)}))
    ),
    "groups": so.Problem(so.LeastSquares(X, Y), RIDGE, so.GroupCardinality(2, GROUPS)),
    "required group": so.Problem(
        so.LeastSquares(X, Y), RIDGE, so.Intersection(so.GroupCardinality(2, GROUPS), so.Required(4), so.Forbidden(2))
    ),
    "rows": so.Problem(so.LeastSquares(X, RESPONSES, WEIGHTS, True), RIDGE, so.Intersection(so.RowCardinality(2), so.Required(3))),
    "support for each response": so.Problem(so.LeastSquares(X[:, :3], RESPONSES), so.Ridged(so.L0(0.05), 0.1), so.Cardinality(3)),
    "quadratic": so.Problem(so.Quadratic(X.T @ X / N + np.eye(P), -X.T @ Y / N), so.L0(0.02), so.Box(-0.4, 0.3)),
    "sparse quadratic": so.Problem(so.Quadratic(sparse.csc_array(X.T @ X / N), -X.T @ Y / N), RIDGE, TWO),
    "logistic": so.Problem(so.Logistic(X, LABELS, WEIGHTS, True), RIDGE, TWO),
    "logistic in a box": so.Problem(so.Logistic(X, LABELS, offset=OFFSET), so.L0L1(0.01, 0.01), so.Intersection(TWO, so.Box(-1.0, 2.0))),
    "huber": so.Problem(so.Huber(X, Y, delta=0.3, intercept=True), so.Ridged(so.L0(0.01), 0.1), TWO),
    "squared hinge": so.Problem(so.SquaredHinge(sparse.csc_array(X), LABELS, intercept=True), RIDGE, TWO),
    "poisson": so.Problem(so.Poisson(X, COUNTS, intercept=True, offset=OFFSET), RIDGE, TWO),
    "gamma": so.Problem(so.Gamma(X, SIZES, intercept=True), RIDGE, TWO),
    "quantile": so.Problem(so.Quantile(X, Y, quantile=0.3, intercept=True), RIDGE, TWO),
}  # fmt: skip


def units_of(problem):
    """Coefficients of each unit: groups or rows where they are counted, single coefficients elsewhere."""
    parts = problem.constraint.parts if isinstance(problem.constraint, so.Intersection) else (problem.constraint,)
    if any(isinstance(part, so.GroupCardinality) for part in parts):
        return [np.array(group) for group in GROUPS]
    if any(isinstance(part, so.RowCardinality) for part in parts):
        return [np.array([2 * j, 2 * j + 1]) for j in range(P)]
    return [np.array([j]) for j in range(problem.n_features)]


def full_tree(problem, found):
    """All sets of units, one a leaf, with the best point on its coefficients as the proof."""
    units = units_of(problem)
    nodes = [ProofNode(-1, -1, True, (), (), (), False)]
    waiting = [(0, ())]
    while waiting:
        position, chosen = waiting.pop()
        if len(chosen) == len(units):
            inside = np.zeros(problem.n_features, dtype=bool)
            inside[np.concatenate([NOTHING, *(units[u] for u, is_in in enumerate(chosen) if is_in)])] = True
            # those that must stay out of a group or row that is in
            rows = np.flatnonzero((found.supports == inside & found.supports.any(axis=0)).all(axis=1))
            points = ()
            if rows.size:
                w = found.w[rows[0]]
                points = ((np.flatnonzero(w), w[w != 0.0], found.intercepts[rows[0]]),)
            fixed = tuple(NOTHING for _ in points)
            nodes[position] = replace(nodes[position], points=points, removed=fixed, kept=fixed, is_leaf=True)
            continue
        for is_in in (False, True):
            nodes.append(ProofNode(position, len(chosen), is_in, (), (), (), False))
            waiting.append((len(nodes) - 1, (*chosen, is_in)))
    return BoundTree(tuple(nodes), found.best - 1e-9 * max(abs(found.best), 1e-3))


@pytest.fixture(scope="module")
def proven():
    """For each problem its refits and its full tree, made once."""
    known = {}

    def made(name):
        if name not in known:
            found = refits(PROBLEMS[name])
            known[name] = found, full_tree(PROBLEMS[name], found)
        return known[name]

    return made


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_tree_of_all_supports_proves_the_optimum(proven, name):
    """At the best point on a support the bound is its value, so that nothing is lost; and a higher bound is refused."""
    found, tree = proven(name)
    assert tree.fault(PROBLEMS[name]) is None
    assert pickle.loads(pickle.dumps(tree)).fault(PROBLEMS[name]) is None
    higher = found.best + 1e-7 * max(abs(found.best), 1e-3)
    assert "its bound is" in replace(tree, lower_bound=higher).fault(PROBLEMS[name])


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_bound_of_any_point_is_above_what_its_supports_reach(proven, name):
    """Whatever is fixed, and whatever the point is: by all supports."""
    problem, (found, _) = PROBLEMS[name], proven(name)
    units, random = units_of(problem), np.random.default_rng(1)
    data = ProblemData.of(problem)
    assert data.move(None) is None
    holds = np.stack([found.supports[:, unit].any(axis=1) for unit in units], axis=1)
    best = found.w[np.argmin(found.values)]
    for trial in range(60):
        w = best + (trial % 3) * 0.2 * random.standard_normal(best.size)
        bound = _Bound(data, (np.arange(w.size), w, random.standard_normal()))
        status = random.choice([-1, 0, 0, 1], len(units)).astype(np.int8)
        possible = (holds[:, status == -1] == 0).all(axis=1) & holds[:, status == 1].all(axis=1)
        reached = found.values[possible].min(initial=np.inf)
        # in single precision the targets are centred with its rounding
        assert bound.at(status) <= reached + (1e-6 if name == "single precision" else 1e-9) * max(abs(reached), 1e-3)
        if trial % 20:
            continue
        free = np.flatnonzero(status == 0)
        for side in (-1, 1):
            quick = bound._with_each(status, np.tile(free, 5), side)[: free.size]
            slow = [bound._with(status, unit, side) for unit in free.tolist()]
            np.testing.assert_allclose(quick, slow, rtol=1e-12)


@pytest.mark.parametrize("name", ["least squares", "priced", "box", "groups", "logistic", "hierarchy"])
def test_a_unit_is_fixed_where_the_other_side_holds_nothing_better(proven, name):
    """Every fixing that the checker lets pass is right, by all supports; and some are let pass."""
    problem, (found, _) = PROBLEMS[name], proven(name)
    units = units_of(problem)
    holds = np.stack([found.supports[:, unit].any(axis=1) for unit in units], axis=1)
    row = np.argmin(found.values)
    w = found.w[row]
    data = ProblemData.of(problem)
    passed = 0
    for share in (1.0, 0.7, 0.3):
        threshold = found.best - (1.0 - share) * abs(found.best)
        bound = _Bound(data, (np.flatnonzero(w), w[w != 0.0], found.intercepts[row]))
        for unit, side in itertools.product(range(len(units)), (-1, 1)):
            removed, kept = ([unit], []) if side == -1 else ([], [unit])
            if bound.fault(np.zeros(len(units), dtype=np.int8), removed, kept, threshold) is None:
                passed += 1
                other = holds[:, unit] == (side == -1)
                assert found.values[other].min(initial=np.inf) >= threshold - 1e-9 * abs(threshold)
    assert passed


def best_leaf(problem, tree, found):
    """Position of the leaf with the best support."""
    row = np.argmin(found.values)
    w = found.w[row]
    return next(
        i for i, node in enumerate(tree.nodes) if node.points and np.array_equal(node.points[0][0], np.flatnonzero(w))
    )  # fmt: skip


def changed(tree, position, **fields):
    nodes = list(tree.nodes)
    nodes[position] = replace(nodes[position], **fields)
    return replace(tree, nodes=tuple(nodes))


def tampered(problem, tree, found):
    """Trees that do not hold, by what was done to them."""
    leaf = best_leaf(problem, tree, found)
    node = tree.nodes[leaf]
    indices, values, intercept = node.points[0]
    yield "no nodes", replace(tree, nodes=())
    yield "no leaf", replace(tree, nodes=tree.nodes[:-1])
    yield "a leaf twice", replace(tree, nodes=(*tree.nodes, tree.nodes[-1]))
    yield "no number", replace(tree, lower_bound=np.nan)
    yield "infinite", replace(tree, lower_bound=np.inf)
    yield "no point", changed(tree, leaf, points=(), removed=(), kept=())
    yield "another point", changed(tree, leaf, points=((indices, 1.1 * values + 0.01, intercept),))
    yield "no number in a point", changed(tree, leaf, points=((indices, np.nan * values, intercept),))
    yield "other side", changed(tree, leaf, is_in=not node.is_in)
    yield "other unit", changed(tree, leaf, feature=(node.feature + 1) % len(units_of(problem)))
    yield "unknown unit", changed(tree, leaf, feature=1000)
    yield "its own parent", changed(tree, leaf, parent=leaf)
    yield "a leaf too soon", replace(changed(tree, 0, is_leaf=True), nodes=(replace(tree.nodes[0], is_leaf=True),))
    yield "not a leaf", changed(tree, leaf, is_leaf=False)
    nothing = (NOTHING, np.empty(0), 0.0)
    for unit in range(len(units_of(problem))):
        inside = found.supports[np.argmin(found.values), units_of(problem)[unit]].any()
        fixings = {"removed": ((unit,),), "kept": ((),)} if inside else {"removed": ((),), "kept": ((unit,),)}
        yield f"unit {unit} fixed", changed(tree, 0, points=(nothing,), **fixings)


@pytest.mark.parametrize("name", ["least squares", "priced and counted", "groups", "logistic", "rows", "box"])
def test_a_tampered_tree_is_rejected(proven, name):
    problem, (found, tree) = PROBLEMS[name], proven(name)
    count = 0
    for what, wrong in tampered(problem, tree, found):
        assert wrong.fault(problem) is not None, what
        count += 1
    assert count >= 17


@pytest.mark.parametrize("name", ["least squares", "groups", "rows"])
@pytest.mark.parametrize("nothing", [None, np.nan, "text"], ids=repr)
def test_a_tree_of_other_things_than_nodes_is_rejected_in_words(proven, name, nothing):
    """A tree may come from a file, and say anything in place of numbers and indices."""
    problem, (_, tree) = PROBLEMS[name], proven(name)
    for wrong in (
        *(changed(tree, len(tree.nodes) - 1, **{part: nothing}) for part in ("parent", "points", "removed", "kept")),
        changed(tree, 0, points=((nothing, nothing, nothing),), removed=((),), kept=((),)),
        replace(tree, nodes=nothing),
        replace(tree, lower_bound=nothing),
    ):
        assert isinstance(wrong.fault(problem), str)


def test_the_tree_of_another_problem_is_rejected(proven):
    problem, (_, tree) = PROBLEMS["priced and counted"], proven("priced and counted")
    loss = problem.loss
    others = [
        replace(problem, penalty=so.Ridged(so.L0L1(0.04, 0.1), 0.1)),
        replace(problem, penalty=so.Ridged(so.L0L1(0.05, 0.09), 0.1)),
        replace(problem, penalty=so.Ridged(so.L0L1(0.05, 0.1), 0.09)),
        replace(problem, loss=so.LeastSquares(X, 0.99 * Y)),
        replace(problem, loss=so.LeastSquares(X, Y, intercept=True)),
        replace(problem, loss=so.LeastSquares(X[:, :4], Y)),
        so.Problem(loss, so.MCP(0.1), TWO),
        so.Problem(loss, problem.penalty, so.LinearConstraint(np.ones((1, P)), 0.0, 1.0)),
        so.Problem(so.Cox(X, SIZES, LABELS > 0), problem.penalty, TWO),
    ]
    for other in others:
        assert tree.fault(other) is not None
    problem, (_, tree) = PROBLEMS["least squares"], proven("least squares")
    assert tree.fault(replace(problem, constraint=so.Cardinality(3))) is not None
    assert tree.fault(replace(problem, constraint=so.Cardinality(1))) is None  # which has a higher optimum


def moved_tree(problem, diagonal, lower_bound, w):
    """A root alone, closed by the minimiser of the loss less the diagonal."""
    point = (np.flatnonzero(w), w[w != 0.0], 0.0)
    return BoundTree((ProofNode(-1, -1, True, (point,), (NOTHING,), (NOTHING,), True),), lower_bound, diagonal)


@pytest.mark.parametrize("kind", ["least squares", "quadratic"])
def test_curvature_may_be_moved_as_far_as_the_loss_stays_convex(kind):
    """With orthogonal columns all of it may be, and the root alone is the proof."""
    Q = np.linalg.qr(RNG.standard_normal((N, P)))[0] * np.sqrt(N) * [1.0, 2.0, 0.5, 1.0, 3.0]
    y = Q @ [1.0, -1.0, 0.2, 0.3, 0.0] + 0.1 * RNG.standard_normal(N)
    loss = so.LeastSquares(Q, y) if kind == "least squares" else so.Quadratic(Q.T @ Q / N, -Q.T @ y / N)
    problem = so.Problem(loss, constraint=TWO)
    found = refits(problem)
    curvatures = np.array([1.0, 4.0, 0.25, 1.0, 9.0])
    optimum = found.best - 1e-9 * abs(found.best)
    tree = moved_tree(problem, curvatures * (1 - 1e-12), optimum, np.zeros(P))
    assert tree.fault(problem) is None
    assert "its bound is" in replace(tree, diagonal=0.99 * curvatures).fault(problem)
    assert "its bound is" in replace(tree, diagonal=None).fault(problem)
    for too_large in (curvatures * (1 + 1e-9), curvatures + 1e-6 * np.eye(P)[1]):
        assert "too large" in replace(tree, diagonal=too_large).fault(problem)
    for no_diagonal in (-curvatures, curvatures[:4], np.nan * curvatures, np.inf * curvatures):
        assert "not a vector" in replace(tree, diagonal=no_diagonal).fault(problem)
    logistic = so.Problem(so.Logistic(X, LABELS), RIDGE, TWO)
    assert "least squares and quadratics only" in tree.fault(logistic)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_a_constant_column_beside_an_intercept_leaves_the_loss_convex(storage):
    """Centring leaves rounding of it, in which there is no curvature to prove."""
    X = RNG.standard_normal((N, 4)) + 1.0
    X[:, 2] = 0.1
    problem = so.Problem(so.LeastSquares(storage(X), X[:, 0], intercept=True), so.L0(0.01), so.Box(-1.0, 1.0))
    centred = X - X.mean(axis=0)
    least = np.linalg.eigvalsh((centred.T @ centred / N)[np.ix_([0, 1, 3], [0, 1, 3])])[0]
    diagonal = np.array([1.0, 1.0, 0.0, 1.0]) * least
    data = ProblemData.of(problem)
    assert data.move(0.999 * diagonal) is None
    assert "too large" in data.move(1.001 * diagonal)


def test_a_quadratic_that_is_not_convex_has_no_bound():
    problem = so.Problem(so.Quadratic([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0]), so.L0(0.1), so.Box(-1.0, 1.0))
    tree = moved_tree(problem, None, -1e9, np.zeros(2))
    assert tree.fault(problem) == "the loss is not convex"


def test_random_trees_with_diagonals_never_prove_too_much():
    """Gains by part of the least eigenvalue, at random points, against all supports."""
    random = np.random.default_rng(2)
    for _ in range(30):
        X = random.standard_normal((9, 4)) * random.uniform(0.5, 2.0, 4)
        problem = so.Problem(
            so.LeastSquares(X, random.standard_normal(9)), so.L0(0.02), so.Cardinality(int(random.integers(5)))
        )
        diagonal = np.full(4, random.uniform() * np.linalg.eigvalsh(X.T @ X / 9)[0])
        data = ProblemData.of(problem)
        assert data.move(diagonal) is None
        w = 0.3 * random.standard_normal(4)
        assert _Bound(data, (np.arange(4), w, 0.0)).at(np.zeros(4, dtype=np.int8)) <= refits(problem).best + 1e-12


@pytest.mark.parametrize(
    "name", [name for name, problem in PROBLEMS.items() if isinstance(problem.loss, so.SampleLoss)]
)
def test_conjugates_are_those_of_the_definition(name):
    """Fenchel and Young: phi*(v) + phi(z) - v z is at least zero, and zero at the slope."""
    loss, random = PROBLEMS[name].loss, np.random.default_rng(0)
    v = slopes(loss, 2.0 * random.standard_normal(N))
    for _ in range(50):
        z = 3.0 * random.standard_normal(N)
        assert np.all(conjugate(loss, v) + loss.value(loss.y, z) - v * z >= -1e-12)
        there = slopes(loss, z)
        np.testing.assert_allclose(conjugate(loss, there) + loss.value(loss.y, z), there * z, atol=1e-12)


def test_a_certificate_with_its_tree_can_be_verified(proven):
    problem, (found, tree) = PROBLEMS["priced"], proven("priced")
    w = found.w[np.argmin(found.values)]
    certificate = so.certify(problem, w, lower_bound=tree.lower_bound, tree=tree)
    assert certificate.proof == "bound"
    assert certificate.summary == f"relative gap {certificate.relative_gap:.0e} by bound of {len(tree.nodes)} nodes"
    pickle.loads(pickle.dumps(certificate)).verify(problem)
    without = so.certify(problem, w, lower_bound=tree.lower_bound)
    with pytest.raises(so.CertificateError, match="keep_proof=True"):
        without.verify(problem)
    for wrong in (
        replace(certificate, lower_bound=np.nextafter(tree.lower_bound, np.inf)),
        replace(certificate, objective=certificate.objective * (1 - 1e-6)),
        replace(certificate, tree=replace(tree, nodes=tree.nodes[:-1])),
        replace(certificate, proof="duality"),
    ):
        with pytest.raises(so.CertificateError):
            wrong.verify(problem)
    assert so.certify(problem, w, tree=tree).tree is None


SEARCHED = [
    "least squares",
    "weights and intercept",
    "sparse",
    "priced and counted",
    "in and out",
    "quadratic",
    "hierarchy",
    "groups",
    "rows",
]


@pytest.fixture(scope="module")
def searched():
    """For each problem the solution of a branch and bound that kept its proof, found once."""
    known = {}

    def made(name):
        if name not in known:
            known[name] = so.solve(PROBLEMS[name], so.BranchAndBound(keep_proof=True), tol=1e-7)
        return known[name]

    return made


@pytest.mark.parametrize("name", SEARCHED)
def test_the_proof_of_a_branch_and_bound_is_accepted(searched, proven, name):
    solution, (found, _) = searched(name), proven(name)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "bound"
    assert solution.certificate.relative_gap <= 1e-7
    assert solution.certificate.objective == pytest.approx(found.best, rel=1e-7)
    pickle.loads(pickle.dumps(solution.certificate)).verify(PROBLEMS[name])


def mutations(tree, random):
    """Random changes of what the nodes of a tree claim."""
    for _ in range(40):
        position = int(random.integers(len(tree.nodes)))
        node = tree.nodes[position]
        nothing = tuple(NOTHING for _ in node.points)
        yield changed(tree, position, is_in=not node.is_in)
        yield changed(tree, position, is_leaf=not node.is_leaf)
        yield changed(tree, position, feature=int(random.integers(P)))
        yield changed(tree, position, parent=int(random.integers(-1, len(tree.nodes))))
        yield replace(tree, nodes=tree.nodes[:position] + tree.nodes[position + 1 :])
        yield changed(tree, position, points=(), removed=(), kept=())
        yield changed(tree, position, points=tuple(
            (point[0], point[1] + 0.1 * random.standard_normal(len(point[1])), *point[2:]) for point in node.points
        ))  # fmt: skip
        for field in ("removed", "kept"):
            yield changed(tree, position, **{field: tuple(np.append(units, random.integers(P)) for units in nothing)})


@pytest.mark.parametrize("name", SEARCHED)
def test_no_change_of_a_tree_proves_more_than_there_is(searched, proven, name):
    """The bound is raised above the optimum, by more than rounding: whatever else is changed, the tree does not hold."""
    tree, (found, _) = searched(name).certificate.tree, proven(name)
    false = replace(tree, lower_bound=found.best + 1e-6 * abs(found.best))
    assert false.fault(PROBLEMS[name]) is not None
    for wrong in mutations(false, np.random.default_rng(0)):
        assert wrong.fault(PROBLEMS[name]) is not None


def test_what_a_time_limit_leaves_open_is_proven_as_far_as_it_goes():
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 80))
    problem = so.Problem(so.LeastSquares(X, random.standard_normal(60)), so.Ridged(so.Zero(), 0.02), so.Cardinality(8))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=True), max_iter=30)
    assert solution.status is so.Status.ITERATION_LIMIT
    assert 1e-3 < solution.certificate.relative_gap < np.inf
    solution.certificate.verify(problem)
