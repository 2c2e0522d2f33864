"""The worst of several losses: time beside CVXPY where it is convex, and proofs of subsets beside SCIP.

Run it by ``python -m benchmarks.worst_case [--rounds N] [--quick]``.

The objective of every solution is computed here from its coefficients, for all solvers alike, and compared with the best
bound that is proven from the data. CPU seconds of one thread, the least of some runs that take turns.
CVXPY is timed twice: from the problem as it is written to the solution, and again with the problem it has compiled.
"""

import argparse
import json
import warnings

import cvxpy as cp
import numpy as np
import sparseopt as so
from sparseopt.proofs.worst_bound import form_of

from benchmarks.measure import race
from benchmarks.report import RESULTS, markdown, save

# samples, features, groups
CONVEX = ((300, 10, 4), (300, 100, 10), (2000, 50, 5), (2000, 200, 10), (100, 1000, 4), (10_000, 100, 20))
SUBSETS = ((200, 15, 3, 4), (300, 20, 4, 5), (300, 30, 4, 5), (500, 40, 4, 8), (500, 60, 4, 6))
# Bounds of coefficients that SCIP needs, in multiples of the largest one of the best subset.
BIG = 3.0
# Samples up to which there is a logistic loss, too: CVXPY takes minutes beyond.
LARGEST = 300
LIMIT = 60.0


def drawn(n, p, count, seed, kind=so.LeastSquares, noise=1.0):
    """Groups that share two of their slopes, and differ in two."""
    random = np.random.default_rng(seed)
    X, groups = random.standard_normal((n, p)), np.arange(n) % count
    own = np.where(random.random((count, 4)) < 0.7, random.choice([-1.0, 1.0, 0.5], size=(1, 4)), 0.0)
    y = np.einsum("ij,ij->i", X[:, :4], own[groups]) + noise * random.standard_normal(n)
    return X, y if kind is so.LeastSquares else np.sign(y), groups


def as_cvxpy(problem, X, y, groups, kind):
    """The convex problem in CVXPY's words, and its variable."""
    loss, form = problem.loss, form_of(problem)
    w, b, values = cp.Variable(X.shape[1]), cp.Variable(), []
    for g in range(loss.n_groups):
        z, target = X[groups == g] @ w + b, y[groups == g]
        if kind is so.LeastSquares:
            values.append(cp.sum_squares(z - target) / (2 * target.size))
        else:
            values.append(cp.sum(cp.logistic(-cp.multiply(target, z))) / target.size)
    price = cp.norm1(cp.multiply(form.a, w)) + cp.sum_squares(cp.multiply(np.sqrt(form.b), w)) / 2
    return cp.Problem(cp.Minimize(cp.max(cp.hstack(values)) + price)), w


def convex_rows(shapes, rounds):
    """One row for each solver on each convex problem."""
    for shape in shapes:
        for kind in (so.LeastSquares, so.Logistic) if shape[0] <= LARGEST else (so.LeastSquares,):
            for penalty in (so.L1(0.05), so.Ridged(so.Zero(), 0.1)):
                X, y, groups = drawn(*shape, seed=0, kind=kind)
                loss = so.WorstCase.over_groups(kind, X, y, groups, intercept=True)
                problem, found = so.Problem(loss, penalty), {}
                compiled, variable = as_cvxpy(problem, X, y, groups, kind)

                def ours(name, solver, tol, penalty=penalty, X=X, y=y, groups=groups, kind=kind, found=found):
                    # with the losses made anew, since they keep what they have computed
                    made = so.Problem(so.WorstCase.over_groups(kind, X, y, groups, intercept=True), penalty)
                    found[name] = so.solve(made, solver, tol=tol).w

                def whole(problem=problem, X=X, y=y, groups=groups, kind=kind, found=found):
                    new, w = as_cvxpy(problem, X, y, groups, kind)
                    new.solve(solver=cp.CLARABEL)
                    found["CVXPY, Clarabel"] = w.value

                def again(compiled=compiled, variable=variable, found=found):
                    compiled.solve(solver=cp.CLARABEL)
                    found["the same, compiled"] = variable.value

                calls = {
                    "Minimax 1e-6": lambda ours=ours: ours("Minimax 1e-6", so.Minimax(), 1e-6),
                    "Minimax 1e-9": lambda ours=ours: ours("Minimax 1e-9", so.Minimax(), 1e-9),
                    "SmoothedMinimax 1e-4": lambda ours=ours: ours("SmoothedMinimax 1e-4", so.SmoothedMinimax(), 1e-4),
                    "CVXPY, Clarabel": whole,
                    "the same, compiled": again,
                }
                for call in calls.values():
                    call()
                times = race(calls, rounds, budget=5.0)
                first, bound = min(times["Minimax 1e-9"]), so.certify(problem, found["Minimax 1e-9"]).lower_bound
                for name, seconds in times.items():
                    objective = problem.objective(found[name])
                    yield {
                        "n x p, groups": "{} x {}, {}".format(*shape),
                        "loss": kind.__name__,
                        "penalty": type(penalty).__name__,
                        "solver": name,
                        "CPU ms": 1e3 * min(seconds),
                        "over Minimax 1e-9": min(seconds) / first,
                        "above the bound": (objective - bound) / objective,
                        "nonzero": int(np.count_nonzero(found[name])),
                    }
                print(shape, kind.__name__, flush=True)


def by_scip(X, y, groups, k, limit, size):
    """Objective, bound and coefficients of the best subset by SCIP, with bounds on the coefficients, an epigraph."""
    import pyscipopt

    p = X.shape[1]
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/time", limit)
    model.setParam("limits/gap", 1e-4)
    model.setParam("parallel/maxnthreads", 1)
    w = [model.addVar(lb=-size, ub=size) for _ in range(p)]
    b, t = model.addVar(lb=None), model.addVar(lb=0.0)
    chosen = [model.addVar(vtype="B") for _ in range(p)]
    for j in range(p):
        model.addCons(w[j] <= size * chosen[j])
        model.addCons(w[j] >= -size * chosen[j])
    model.addCons(pyscipopt.quicksum(chosen) <= k)
    for g in np.unique(groups):
        A, target = np.column_stack([X[groups == g], np.ones(np.sum(groups == g))]), y[groups == g]
        # a square of length p + 1 in place of one of the length of the samples
        R = np.linalg.qr(np.column_stack([A, target]), mode="r")
        v = [*w, b, -1.0]
        rests = []
        for row in R:
            r = model.addVar(lb=None)
            model.addCons(pyscipopt.quicksum(a * x for a, x in zip(row, v, strict=True)) == r)
            rests.append(r * r)
        model.addCons(pyscipopt.quicksum(rests) / (2 * target.size) <= t)
    model.setObjective(t)
    model.optimize()
    w = np.array([model.getVal(x) for x in w]) if model.getNSols() else np.zeros(p)
    return model.getDualbound(), w


def subset_rows(shapes, limit):
    """One row for each solver on each subset problem."""
    for n, p, count, k in shapes:
        for noise in (0.5, 2.0):
            X, y, groups = drawn(n, p, count, seed=1, noise=noise)
            loss = so.WorstCase.over_groups(so.LeastSquares, X, y, groups, intercept=True)
            problem, found = so.Problem(loss, constraint=so.Cardinality(k)), {}

            def searched(problem=problem, found=found):
                solution = so.solve(problem, so.MinimaxSearch())
                found["MinimaxSearch"] = -np.inf, solution.w

            def proven(problem=problem, found=found):
                solution = so.solve(problem, so.MinimaxBranchAndBound(), tol=1e-4, time_limit=limit)
                found["MinimaxBranchAndBound"] = solution.certificate.lower_bound, solution.w

            calls = {"MinimaxSearch": searched, "MinimaxBranchAndBound": proven}
            for call in calls.values():
                call()
            times = race(calls, 2)
            size = BIG * float(np.max(np.abs(found["MinimaxBranchAndBound"][1])))

            def scip(X=X, y=y, groups=groups, k=k, size=size, found=found):
                found["SCIP"] = by_scip(X, y, groups, k, limit, size)

            try:
                times |= race({"SCIP": scip}, 1)
            except ImportError:
                print("pyscipopt is not installed: SCIP is left out")
            best = min(loss.evaluate(w) for _, w in found.values())
            for name, seconds in times.items():
                bound, w = found[name]
                yield {
                    "n x p, groups, k": f"{n} x {p}, {count}, {k}",
                    "noise": noise,
                    "solver": name,
                    "CPU s": min(seconds),
                    "over ours": min(seconds) / min(times["MinimaxBranchAndBound"]),
                    "relative gap": (loss.evaluate(w) - bound) / loss.evaluate(w) if bound > -np.inf else None,
                    "above the best": loss.evaluate(w) / best - 1.0,
                }
            print(n, p, count, k, noise, flush=True)


def chosen(shapes, options):
    """The problems that were asked for."""
    if options.quick:
        return shapes[:1]
    return shapes if options.shape is None else [shapes[i] for i in options.shape]


def saved(title, rows):
    """Rows of the saved table that are about other problems than these rows."""
    file, (first, *_) = RESULTS / f"worst_case-{title}.json", rows[0]
    if not file.exists():
        return []
    new = {row[first] for row in rows}
    return [row for row in json.loads(file.read_text())["tables"][title] if row[first] not in new]


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worst_case", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, which take turns (default 5)")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for a proof (default 60)")
    parser.add_argument("--part", choices=("convex", "subsets"), default=None, help="one of the two tables")
    parser.add_argument("--shape", type=int, nargs="+", help="numbers of the problems; others keep their saved rows")
    parser.add_argument("--quick", action="store_true", help="the smallest problems, saves nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Clarabel's accuracy is in the table
    tables = {}
    if options.part != "subsets":
        tables["convex"] = list(convex_rows(chosen(CONVEX, options), options.rounds))
    if options.part != "convex":
        tables["subsets"] = list(subset_rows(chosen(SUBSETS, options), options.limit))
    for rows in tables.values():
        print(markdown(rows))
    if not options.quick:
        for title, rows in tables.items():
            save(f"worst_case-{title}", {title: saved(title, rows) + rows})


if __name__ == "__main__":
    main()
