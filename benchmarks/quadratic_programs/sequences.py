"""Sequences of small quadratic programs whose linear term drifts, and single ones from nothing.

Run it by ``python -m benchmarks.quadratic_programs.sequences``. CPU seconds for each program of a sequence of fifty,
all in from Python: giving the new vector, solving, reading the solution. Solvers take turns; the least of the rounds
counts. Every solver has the settings with which its users follow a sequence; the residuals of what they return are
computed here for all alike. Cold times are those of setting up and solving one program.
"""

import argparse

import numpy as np
import sparseopt as so
from scipy import sparse

from benchmarks.measure import race
from benchmarks.quadratic_programs.programs import _program, residuals
from benchmarks.report import markdown, save

STEPS, DRIFT = 50, 0.05
SOLVERS = {}


def solver(function):
    """Add a solver under the name of its function: a program to a start and a step, which take c and return x, y, z."""
    SOLVERS[function.__name__] = function
    return function


def portfolio(n=100, seed=1):
    """Mean and variance with factors, long only, with a budget."""
    random = np.random.default_rng(seed)
    F = random.standard_normal((n, n // 10))
    P = F @ F.T + np.diag(random.random(n) * np.sqrt(n // 10))
    return _program(f"portfolio {n}", P, -random.standard_normal(n), np.ones((1, n)), np.ones(1), np.ones(1), 0.0, 1.0)


def box(n=120, m=20, seed=2):
    """A box and equalities, as in predictive control."""
    random = np.random.default_rng(seed)
    F, A = random.standard_normal((n, n)), random.standard_normal((m, n))
    b = A @ random.uniform(-0.5, 0.5, n)
    return _program(
        f"box {n}, {m} equalities", F @ F.T / n + 0.01 * np.eye(n), random.standard_normal(n), A, b, b, -1.0, 1.0
    )


def rows(n, m, seed=3):
    """Two-sided rows and no bounds."""
    random = np.random.default_rng(seed)
    F, A = random.standard_normal((n, n)), random.standard_normal((m, n))
    middle = A @ random.standard_normal(n)
    upper = middle + random.random(m)
    return _program(
        f"rows {m} x {n}", F @ F.T / n + 0.01 * np.eye(n), random.standard_normal(n), A, middle - 0.5, upper
    )


def _problem(program):
    parts = [so.LinearConstraint(program.A.toarray(), program.row_lower, program.row_upper)]
    if np.isfinite(program.lower).any() or np.isfinite(program.upper).any():
        parts.append(so.Box(program.lower, program.upper))
    return so.Problem(so.Quadratic(program.P.toarray(), program.q), constraint=so.Intersection(*parts))


@solver
def ours(program):
    """`QuadraticSequence`: residuals and gap of each solution are computed from the data in the time."""
    problem = _problem(program)

    def start():
        return so.QuadraticSequence(problem, tol=1e-8)

    def step(sequence, c):
        sequence.update(c=c)
        solution = sequence.solve()
        return solution.w, solution.duals.rows, solution.duals.box

    return start, step


@solver
def daqp(program):
    """DAQP's model, which keeps factors and active set (Arnstrom, Bemporad and Axehill, 2022)."""
    import daqp as peer

    P, A, n = program.P.toarray(), program.A.toarray(), program.q.size
    high = np.minimum(np.append(program.upper, program.row_upper), 1e30)
    low = np.maximum(np.append(program.lower, program.row_lower), -1e30)
    sense = np.where(low == high, 5, 0).astype(np.int32)

    def start():
        model = peer.Model()
        model.setup(P, program.q.copy(), A, high, low, sense.copy())
        return model

    def step(model, c):
        model.update(f=c)
        x, _, _, info = model.solve()
        return x, info["lam"][n:], info["lam"][:n]

    return start, step


@solver
def piqp(program):
    """PIQP on dense matrices, which has no warm start."""
    import piqp as peer

    A, n = program.A.toarray(), program.q.size
    equal = program.row_lower == program.row_upper

    def start():
        run = peer.DenseSolver()
        run.settings.eps_abs, run.settings.eps_rel = 1e-8, 0.0
        run.setup(
            np.asfortranarray(program.P.toarray()), program.q, np.asfortranarray(A[equal]), program.row_upper[equal],
            np.asfortranarray(A[~equal]), program.row_lower[~equal], program.row_upper[~equal], program.lower, program.upper,
        )  # fmt: skip
        return run

    def step(run, c):
        run.update(c=c)
        run.solve()
        y = np.zeros(equal.size)
        y[equal], y[~equal] = run.result.y, run.result.z_u - run.result.z_l
        return np.array(run.result.x), y, np.array(run.result.z_bu - run.result.z_bl)[:n]

    return start, step


@solver
def osqp(program):
    """OSQP from the last solution, to 1e-6 (Stellato et al., 2020)."""
    import osqp as peer

    n, m = program.q.size, program.row_lower.size
    A = sparse.vstack([program.A, sparse.eye(n)], format="csc")
    low, high = np.append(program.row_lower, program.lower), np.append(program.row_upper, program.upper)

    def start():
        run = peer.OSQP()
        run.setup(
            sparse.triu(program.P, format="csc"), program.q, A, low, high, verbose=False, eps_abs=1e-6, eps_rel=0.0
        )
        return run

    def step(run, c):
        run.update(q=c)
        result = run.solve(raise_error=False)
        return result.x, result.y[:m], result.y[m:]

    return start, step


def measured(program, names, rounds):
    """A row for each solver: time for each program of a sequence and for one from nothing, and the worst residual."""
    random = np.random.default_rng(0)
    drift = program.q + np.cumsum(DRIFT * random.standard_normal((STEPS, program.q.size)), axis=0)
    warm, cold, worst = {}, {}, {}
    for name in names:
        start, step = SOLVERS[name](program)
        state, largest = start(), 0.0
        step(state, program.q)
        for c in drift:
            moved = type(program)(**{**program.__dict__, "q": c})
            largest = max(largest, *residuals(moved, *step(state, c))[0])

        def follow(state=state, step=step):
            for c in drift:
                step(state, c)

        warm[name], worst[name] = follow, largest
        cold[name] = lambda start=start, step=step: step(start(), program.q)
    times, once = race(warm, rounds), race(cold, 10 * rounds)
    for name in names:
        yield {
            "program": program.name,
            "solver": name,
            "warm us": 1e6 * min(times[name]) / STEPS,
            "over ours": min(times[name]) / min(times["ours"]) if "ours" in names else None,
            "cold us": 1e6 * min(once[name]),
            "cold over ours": min(once[name]) / min(once["ours"]) if "ours" in names else None,
            "worst residual": worst[name],
        }


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quadratic_programs.sequences", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--solver", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one tiny sequence, saves nothing")
    options = parser.parse_args()
    programs = [portfolio(20)] if options.quick else [
        portfolio(), box(), portfolio(20), portfolio(50), box(20, 4), box(50, 10), rows(10, 20), rows(20, 60), rows(50, 150),
    ]  # fmt: skip
    found = [
        row for program in programs for row in measured(program, options.solver, 2 if options.quick else options.rounds)
    ]
    print(markdown(found))
    if not options.quick:
        save("quadratic_programs-sequences", {"sequences": found})


if __name__ == "__main__":
    main()
