"""The main job end to end: real sparse problems solved, certified and turned into masks.

All data is inside scikit-learn, so that the demo runs offline: the diabetes study with all
interactions of its ten columns (442 patients, 64 columns), and 1797 handwritten digits.
"""

import importlib.util
import itertools
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt import plotting, report

SPARSITIES = (0.5, 0.8, 0.9, 0.95)
SUBSET_SIZE = 8


@dataclass(frozen=True)
class Row:
    """One line of the table: what was solved, what came out, why it stopped, what is proven."""

    problem: str
    result: str
    status: str
    certificate: str


@dataclass(frozen=True)
class Study:
    """A regression with a training and a test half; columns have unit variance on the first."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    names: tuple[str, ...]

    def error(self, model) -> float:
        """Root mean square error on the test half."""
        return float(np.sqrt(np.mean((model.predict(self.X_test) - self.y_test) ** 2)))


def demo(out) -> dict:
    """Run the four parts, print their table, and write report.json and the pictures into `out`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    study = diabetes_with_interactions()
    parts = {
        "path": ("a certified lasso path", lambda: lasso_path(study, out)),
        "subset": ("a subset of the columns by L0", lambda: best_subset(study)),
        "simplex": ("a constrained quadratic program", lambda: simplex_regression(study)),
        "pruning": ("a pruned network", lambda: pruned_digits(out)),
    }
    rows, details = [], {}
    start = time.perf_counter()
    for number, (key, (title, run)) in enumerate(parts.items(), start=1):
        print(f"[{number}/{len(parts)}] {title} ...", file=sys.stderr, flush=True)
        part_rows, details[key] = run()
        rows += part_rows
    print_table(rows)
    details["seconds"] = time.perf_counter() - start
    report.write_json(out / "report.json", {"rows": [asdict(row) for row in rows], **details})
    print(f"\n{details['seconds']:.1f} s; report.json, path.png and masks.png are in {out}/")
    return details


def diabetes_with_interactions() -> Study:
    """Diabetes with all products of two columns; the square of the binary column `sex` is itself."""
    data = load_diabetes()
    columns, names = list(data.data.T), list(data.feature_names)
    for i, j in itertools.combinations_with_replacement(range(10), 2):
        if names[i] == names[j] == "sex":
            continue
        columns.append(columns[i] * columns[j])
        names.append(f"{names[i]} * {names[j]}")
    X, X_test, y, y_test = train_test_split(np.column_stack(columns), data.target, test_size=0.5, random_state=0)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    return Study((X - mean) / deviation, y, (X_test - mean) / deviation, y_test, tuple(names))


def lasso_path(study, out):
    """Fifty lasso solutions, each proven optimal to a relative gap of 1e-6 by duality."""
    loss = so.LeastSquares(study.X, study.y, intercept=True)
    alphas = so.alpha_max(loss) * np.geomspace(1.0, 1e-3, 50)
    path = so.path(loss, [so.L1(alpha) for alpha in alphas], tol=1e-6)
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = plotting.plot_path(path, study.names, figure.subplots())
    axes.set_title("Diabetes with interactions, 50 certified solutions", fontsize="medium")
    figure.savefig(out / "path.png", dpi=150)
    worst = max((solution.certificate for solution in path), key=lambda certificate: certificate.relative_gap)
    sizes = [solution.support.size for solution in path]
    converged = sum(solution.status is so.Status.CONVERGED for solution in path)
    row = Row(
        "lasso path, 50 penalties",
        f"{min(sizes)} to {max(sizes)} of {study.X.shape[1]} columns",
        f"{converged} CONVERGED",
        "largest " + report.certificate_line(worst),
    )
    detail = [report.solution_data(solution, solution.w, study.names) for solution in path]
    return [row], {"alphas": alphas, "solutions": detail}


def best_subset(study):
    """Eight columns by hard thresholding, as a mask on scikit-learn's linear regression."""
    problem = so.Problem(
        so.LeastSquares(study.X, study.y, intercept=True), constraint=so.Cardinality(SUBSET_SIZE)
    )
    solution = so.solve(problem, so.HardThresholding())
    full = LinearRegression().fit(study.X, study.y)
    mask = so.Mask.of(solution)
    masked = full
    before, after = study.error(full), study.error(masked)
    row = Row(
        f"{SUBSET_SIZE} of {study.X.shape[1]} columns by L0",
        f"test error {before:.1f} with all columns, {after:.1f} with the mask",
        solution.status.name,
        report.certificate_line(solution.certificate),
    )
    detail = {"density": mask.density, "test_error_all": before, "test_error_masked": after}
    return [row], {**detail, **report.solution_data(solution, solution.w, study.names)}
