"""Infeasible linear programs: which of them are recognised, each by a ray that the checker accepts.

``python -m benchmarks.quadratic_programs.infeasible --data FOLDER [--name NAME]`` takes the .mat files of Netlib's infeasible
programs as Clarabel's benchmarks keep them: minimise c'w with A w = b and lo <= w <= hi.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import sparseopt as so
from scipy import io, sparse
from sparseopt.proofs.rays import check_primal_ray

from benchmarks.quadratic_programs.programs import INFINITE
from benchmarks.report import markdown, save

LIMIT = 60.0


def main():
    """Solve, check, print and, where a name is given, save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quadratic_programs.infeasible", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of .mat files")
    parser.add_argument("--name", help="save the table under this name in benchmarks/results")
    options = parser.parse_args()
    rows = [row_of(file) for file in sorted(options.data.glob("*.mat"))]
    print(markdown(rows))
    print(f"{sum(row['ray holds'] for row in rows)} of {len(rows)} recognised")
    if options.name:
        save(options.name, {"infeasible": rows})


def row_of(file):
    """What `InteriorPoint` says of one program, and whether its ray proves it."""
    problem = program_of(file)
    start = time.process_time()
    solution = so.solve(problem, so.InteriorPoint(), max_iter=500, time_limit=LIMIT)
    seconds = time.process_time() - start
    ray = solution.certificate.ray
    holds = solution.status is so.Status.INFEASIBLE and ray is not None and check_primal_ray(problem, ray).holds
    m = problem.constraint.parts[0].A.shape[0]
    return {
        "program": file.stem,
        "n": problem.n_features,
        "m": m,
        "said": solution.status.name,
        "ray holds": bool(holds),
        "iterations": solution.iterations,
        "CPU s": seconds,
    }


def program_of(file):
    """The program of a file."""
    content = io.loadmat(file)["Problem"][0, 0]
    A = sparse.csc_matrix(content["A"].astype(float))
    b, c, lower, upper = (_vector(content[name]) for name in ("b", "c", "lo", "hi"))
    lower = np.zeros(c.size) if lower.size == 0 else np.where(lower < -INFINITE, -np.inf, lower)
    upper = np.where(upper > INFINITE, np.inf, upper)
    constraint = so.Intersection(so.LinearConstraint(A, b, b), so.Box(lower, upper))
    return so.Problem(so.Quadratic(sparse.csc_matrix((c.size, c.size)), c), constraint=constraint)


def _vector(values):
    return np.asarray(values.todense() if sparse.issparse(values) else values, dtype=float).ravel()


if __name__ == "__main__":
    main()
