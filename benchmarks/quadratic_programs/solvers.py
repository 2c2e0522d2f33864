"""Solvers of quadratic programs, each asked for absolute residuals of `eps` by the settings that its users have for it.

A solver takes a program and eps and returns a call, which is what is timed, and a reading of its result:
(solved, x, multipliers of rows, multipliers of bounds), both positive where the upper side pulls.
"""

import numpy as np
from scipy import sparse

SOLVERS = {}


def solver(function):
    """Add a solver under the name of its function."""
    SOLVERS[function.__name__] = function
    return function


def _parts(program):
    """Positions of equality rows, and of rows with a side."""
    equal = program.row_lower == program.row_upper
    sided = ~equal & (np.isfinite(program.row_lower) | np.isfinite(program.row_upper))
    return np.flatnonzero(equal), np.flatnonzero(sided)


def _ours(program, eps, is_dense, method="InteriorPoint"):
    import sparseopt as so

    P, A = (program.P.toarray(), program.A.toarray()) if is_dense else (program.P, program.A)

    def call():
        parts = [so.LinearConstraint(A, program.row_lower, program.row_upper)] if A.shape[0] else []
        if np.isfinite(program.lower).any() or np.isfinite(program.upper).any():
            parts.append(so.Box(program.lower, program.upper))
        problem = so.Problem(so.Quadratic(P, program.q), constraint=so.Intersection(*parts))
        limit = 500 if method == "InteriorPoint" else 20_000
        # a limit of hanging only: what comes too late is judged by CPU seconds, for all alike
        solver = None if method is None else getattr(so, method)()
        return so.solve(problem, solver, tol=eps, max_iter=limit, time_limit=300.0)

    def read(solution):
        duals = solution.duals
        rows, box = (np.zeros(A.shape[0]), np.zeros(program.q.size)) if duals is None else (duals.rows, duals.box)
        return solution.status is so.Status.CONVERGED, solution.w, rows, box

    return call, read


@solver
def ours_dense(program, eps):
    """Interior point method on dense matrices."""
    return _ours(program, eps, is_dense=True)


@solver
def ours_default(program, eps):
    """The method that `solve` chooses, on dense matrices: an active set for few rows and coefficients, or the interior point."""
    return _ours(program, eps, is_dense=True, method=None)


@solver
def ours_sparse(program, eps):
    """Interior point method on sparse matrices."""
    return _ours(program, eps, is_dense=False)


@solver
def ours_splitting(program, eps):
    """Operator splitting on sparse matrices."""
    return _ours(program, eps, is_dense=False, method="OperatorSplitting")


@solver
def ours_structure(program, eps):
    """The same problem as a loss and a penalty, where it is one (see structure.py)."""
    from benchmarks.quadratic_programs.structure import structured

    return structured(program, eps)


def _piqp(program, eps, is_dense):
    import piqp

    equal, sided = _parts(program)
    rows = program.A.tocsr()
    convert = (lambda M: np.asfortranarray(M.toarray())) if is_dense else (lambda M: M.tocsc())
    P, A, G = (convert(M) for M in (program.P, rows[equal], rows[sided]))

    def call():
        run = piqp.DenseSolver() if is_dense else piqp.SparseSolver()
        run.settings.eps_abs = run.settings.eps_duality_gap_abs = eps
        run.settings.eps_rel = run.settings.eps_duality_gap_rel = 0.0
        run.settings.check_duality_gap = True
        run.setup(
            P, program.q, A, program.row_upper[equal], G, program.row_lower[sided], program.row_upper[sided],
            program.lower, program.upper,
        )  # fmt: skip
        return run.solve(), run.result

    def read(found):
        status, result = found
        y = np.zeros(rows.shape[0])
        y[equal], y[sided] = result.y, result.z_u - result.z_l
        return status == piqp.PIQP_SOLVED, np.array(result.x), y, result.z_bu - result.z_bl

    return call, read


@solver
def piqp_dense(program, eps):
    """PIQP on dense matrices (Schwan et al., 2023)."""
    return _piqp(program, eps, is_dense=True)


@solver
def piqp_sparse(program, eps):
    """PIQP on sparse matrices."""
    return _piqp(program, eps, is_dense=False)


@solver
def clarabel(program, eps):
    """Clarabel (Goulart and Chen, 2024); sides and bounds are rows of one cone."""
    import clarabel as peer

    equal, sided = _parts(program)
    rows, unit = program.A.tocsr(), sparse.eye(program.q.size, format="csr")
    high, low = (sided[np.isfinite(side[sided])] for side in (program.row_upper, program.row_lower))
    above, below = np.flatnonzero(np.isfinite(program.upper)), np.flatnonzero(np.isfinite(program.lower))
    A = sparse.vstack([rows[equal], rows[high], -rows[low], unit[above], -unit[below]], format="csc")
    b = np.concatenate([
        program.row_upper[equal], program.row_upper[high], -program.row_lower[low],
        program.upper[above], -program.lower[below],
    ])  # fmt: skip
    cones = [peer.ZeroConeT(equal.size), peer.NonnegativeConeT(b.size - equal.size)]
    P = sparse.triu(program.P, format="csc")

    def call():
        settings = peer.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.tol_feas = settings.tol_gap_abs = eps
        settings.tol_gap_rel = 0.0
        used = [cone for cone, size in zip(cones, (equal.size, b.size - equal.size), strict=True) if size]
        return peer.DefaultSolver(P, program.q, A, b, used, settings).solve()

    def read(result):
        parts = np.split(np.array(result.z), np.cumsum([equal.size, high.size, low.size, above.size]))
        y, z = np.zeros(rows.shape[0]), np.zeros(program.q.size)
        y[equal] = parts[0]
        y[high] += parts[1]
        y[low] -= parts[2]
        z[above] += parts[3]
        z[below] -= parts[4]
        return str(result.status) == "Solved", np.array(result.x), y, z

    return call, read


@solver
def osqp(program, eps):
    """OSQP with polishing (Stellato et al., 2020)."""
    import osqp as peer

    bounded = np.flatnonzero(np.isfinite(program.lower) | np.isfinite(program.upper))
    A = sparse.vstack([program.A, sparse.eye(program.q.size, format="csr")[bounded]], format="csc")
    low = np.append(program.row_lower, program.lower[bounded])
    high = np.append(program.row_upper, program.upper[bounded])
    P, m = sparse.triu(program.P, format="csc"), program.row_lower.size

    def call():
        run = peer.OSQP()
        run.setup(
            P, program.q, A, low, high, verbose=False, eps_abs=eps, eps_rel=0.0, polishing=True, max_iter=200_000,
            time_limit=20.0,
        )  # fmt: skip
        return run.solve(raise_error=False)

    def read(result):
        z = np.zeros(program.q.size)
        z[bounded] = result.y[m:]
        return result.info.status_val == 1, np.array(result.x), np.array(result.y[:m]), z

    return call, read


@solver
def daqp(program, eps):
    """DAQP, a dual active set method (Arnstrom, Bemporad and Axehill, 2022), on dense matrices."""
    import daqp as peer

    H, A = np.ascontiguousarray(program.P.toarray()), np.ascontiguousarray(program.A.toarray())
    high = np.minimum(np.append(program.upper, program.row_upper), 1e30)
    low = np.maximum(np.append(program.lower, program.row_lower), -1e30)
    sense = np.where(low == high, 5, 0).astype(np.int32)
    is_definite = np.linalg.eigvalsh(H)[0] > 1e-9

    def call():
        options = {"primal_tol": eps, "dual_tol": eps} | ({} if is_definite else {"eps_prox": 1e-5})
        return peer.solve(H, program.q, A, high, low, sense.copy(), **options)

    def read(found):
        x, _, flag, info = found
        n = program.q.size
        return flag == 1, np.array(x), np.array(info["lam"][n:]), np.array(info["lam"][:n])

    return call, read


@solver
def highs(program, eps):
    """HiGHS's active set method for quadratic programs, with a limit of 60 seconds."""
    import highspy as peer

    A, lower_half = program.A.tocsc(), sparse.tril(program.P, format="csc")
    model = peer.HighsModel()
    lp, hessian = model.lp_, model.hessian_
    lp.num_col_, lp.num_row_, lp.col_cost_ = program.q.size, program.row_lower.size, program.q
    lp.col_lower_, lp.col_upper_, lp.row_lower_, lp.row_upper_ = (
        program.lower, program.upper, program.row_lower, program.row_upper,
    )  # fmt: skip
    lp.a_matrix_.format_ = peer.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = A.indptr, A.indices, A.data
    if lower_half.nnz:
        hessian.dim_, hessian.format_ = program.q.size, peer.HessianFormat.kTriangular
        hessian.start_, hessian.index_, hessian.value_ = lower_half.indptr, lower_half.indices, lower_half.data

    def call():
        run = peer.Highs()
        tolerance = max(eps, 1e-10)  # the least that it takes
        options = {
            "output_flag": False, "threads": 1, "time_limit": 60.0, "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": tolerance,
        }  # fmt: skip
        for name, value in options.items():
            run.setOptionValue(name, value)
        run.passModel(model)
        run.run()
        return run

    def read(run):
        found = run.getSolution()
        x, y, z = np.array(found.col_value), -np.array(found.row_dual), -np.array(found.col_dual)
        return run.getModelStatus() == peer.HighsModelStatus.kOptimal, x, y, z

    return call, read
