"""The main job end to end: real sparse problems solved, certified and turned into masks.

All data is inside scikit-learn, so that the demo runs offline: the diabetes study with all
interactions of its ten columns (442 patients, 64 columns), and 1797 handwritten digits.
"""

import itertools
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt import plotting, report
from sparseopt.adapters.sklearn import apply
from sparseopt.pruning import LayerwiseL0, Magnitude, Scored

SPARSITIES = (0.5, 0.8, 0.9, 0.95)
SUBSET_SIZE = 8


@dataclass(frozen=True)
class Row:
    """One line of the table: what was solved, what came out, what is proven of it."""

    problem: str
    result: str
    certificate: str


@dataclass(frozen=True)
class Study:
    """A regression with a training and a test half; the columns have unit variance on the first."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    names: tuple[str, ...]

    def error(self, model) -> float:
        """Root mean square error on the test half."""
        return float(np.sqrt(np.mean((model.predict(self.X_test) - self.y_test) ** 2)))


def demo(out) -> dict:
    """Run the four parts, print their table, write report.json and the pictures into the folder `out`."""
    start = time.perf_counter()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    study = diabetes_with_interactions()
    parts = {
        "path": ("a certified lasso path", lambda: lasso_path(study, out / "path.png")),
        "subset": ("a subset of the columns by L0, as a mask", lambda: best_subset(study)),
        "simplex": ("a constrained quadratic program", lambda: mixture(study)),
        "pruning": ("a network, pruned", lambda: pruned_digits(out / "masks.png")),
    }
    rows, details = [], {}
    for number, (key, (title, run)) in enumerate(parts.items(), start=1):
        began = time.perf_counter()
        print(f"[{number}/{len(parts)}] {title} ... ", end="", file=sys.stderr, flush=True)
        part_rows, details[key] = run()
        print(f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
        rows += part_rows
    print_table(rows)
    details["seconds"] = time.perf_counter() - start
    report.write_json(out / "report.json", {"rows": [asdict(row) for row in rows], **details})
    print(f"\n{details['seconds']:.1f} s; the report and the pictures are {out}/report.json, path.png and masks.png")
    return details


def diabetes_with_interactions() -> Study:
    """Diabetes with all products of two columns, but the square of `sex`, which has two values only."""
    data = load_diabetes()
    columns, names = list(data.data.T), list(data.feature_names)
    for i, j in itertools.combinations_with_replacement(range(10), 2):
        if (names[i], names[j]) != ("sex", "sex"):
            columns.append(columns[i] * columns[j])
            names.append(f"{names[i]} * {names[j]}")
    X, X_test, y, y_test = train_test_split(np.column_stack(columns), data.target, test_size=0.5, random_state=0)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    return Study((X - mean) / deviation, y, (X_test - mean) / deviation, y_test, tuple(names))


def lasso_path(study, picture):
    """Fifty lasso solutions, each with a duality gap."""
    loss = so.LeastSquares(study.X, study.y, intercept=True)
    path = so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 50, 1e-3)], tol=1e-6)
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = plotting.plot_path(path, study.names, figure.subplots())
    axes.set_title("Diabetes with interactions: fifty certified lasso solutions", fontsize="medium")
    figure.savefig(picture, dpi=150)
    worst = max((solution.certificate for solution in path), key=lambda certificate: certificate.relative_gap)
    row = Row(
        f"lasso path of {len(path)} penalties",
        f"{path.support_sizes.min()} to {path.support_sizes.max()} of {study.X.shape[1]} columns",
        f"every one: {worst.summary} or less",
    )
    solutions = [report.solution_data(solution, solution.w, study.names) for solution in path]
    return [row], {"alphas": path.alphas, "solutions": solutions}


def best_subset(study):
    """A subset of the columns by hard thresholding, as a mask on scikit-learn's linear regression."""
    loss = so.LeastSquares(study.X, study.y, intercept=True)
    solution = so.solve(so.Problem(loss, constraint=so.Cardinality(SUBSET_SIZE)), so.HardThresholding())
    mask = so.Mask.of(solution, "coef_")
    model = LinearRegression().fit(study.X, study.y)
    masked = apply(mask, model, study.X, study.y)
    before, after = study.error(model), study.error(masked)
    row = Row(
        f"{mask.kept} of {mask.total} columns by L0",
        f"test error {before:.1f} with all, {after:.1f} with the mask",
        solution.certificate.summary,
    )
    errors = {"test_error_all_columns": before, "test_error_masked": after}
    return [row], errors | report.solution_data(solution, masked.coef_, study.names)


def mixture(study):
    """Least squares with nonnegative coefficients that sum to one, a quadratic program."""
    p = study.X.shape[1]
    standardised = (study.y - study.y.mean()) / study.y.std()
    sums_to_one = so.LinearConstraint(np.ones((1, p)), 1.0, 1.0)
    problem = so.Problem(
        so.LeastSquares(study.X, standardised), constraint=so.Intersection(sums_to_one, so.Box(0.0, np.inf))
    )
    solution = so.solve(problem, so.OperatorSplitting(), tol=1e-9)
    detail = report.solution_data(solution, solution.w, study.names)
    compared = "CVXPY is not installed, not compared"
    if find_spec("cvxpy") is not None:
        detail["cvxpy_objective"] = cvxpy_objective(study.X, standardised)
        difference = abs(solution.certificate.objective - detail["cvxpy_objective"])
        compared = f"CVXPY's objective differs by {difference:.0e}"
    row = Row(
        f"mixture of {p} columns (QP)", f"{solution.support.size} columns; {compared}", solution.certificate.summary
    )
    return [row], detail


def cvxpy_objective(X, y) -> float:
    """Least objective of the mixture that CVXPY finds."""
    import cvxpy  # noqa: PLC0415, optional

    w = cvxpy.Variable(X.shape[1], nonneg=True)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(X @ w - y) / (2 * len(y))), [cvxpy.sum(w) == 1])
    return float(problem.solve(solver=cvxpy.CLARABEL))


def pruned_digits(picture):
    """A network on the digits, pruned by magnitude and by layer-wise L0 regression."""
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.data / 16, digits.target, test_size=0.5, random_state=0, stratify=digits.target
    )
    network = MLPClassifier((64, 32), learning_rate_init=3e-3, tol=1e-3, n_iter_no_change=5, random_state=0).fit(X, y)
    dense = float(network.score(X_test, y_test))
    methods = {"layer-wise L0": LayerwiseL0(), "magnitude": Magnitude(), "refitted": Scored(Magnitude(), refit=True)}
    rows, detail, runs = [], [], []
    for sparsity in SPARSITIES:
        pruned = {name: so.prune(network, X, sparsity=sparsity, method=method) for name, method in methods.items()}
        accuracy = {name: float(run.model.score(X_test, y_test)) for name, run in pruned.items()}
        errors = [layer.error for layer in pruned["layer-wise L0"].layers]
        ours, magnitude, refitted = accuracy.values()
        rows.append(
            Row(
                f"network without {sparsity:.0%} of {pruned['magnitude'].mask.total} weights",
                f"accuracy {ours:.1%} (dense {dense:.1%}, magnitude {magnitude:.1%}, refitted {refitted:.1%})",
                "no bound; relative error of the layers " + " ".join(f"{error:.2f}" for error in errors),
            )
        )
        detail.append({"sparsity": sparsity, "accuracy": accuracy, "layer_errors": errors})
        runs.append((sparsity, pruned, accuracy))
    draw_masks(runs, picture)
    return rows, {"dense_accuracy": dense, "pruned": detail}


def draw_masks(runs, picture) -> None:
    """The first layer's masks by magnitude, above those by L0."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    panels = figure.subplots(2, len(runs))
    for column, (sparsity, pruned, accuracy) in zip(panels.T, runs, strict=True):
        for panel, name in zip(column, ("magnitude", "layer-wise L0"), strict=True):
            plotting.plot_mask(so.Mask({name: pruned[name].mask["coefs_0"]}), [panel])
            panel.set_title(f"{name}, {sparsity:.0%}\naccuracy {accuracy[name]:.1%}", fontsize="small")
    for panel in panels[:, 0]:
        panel.set_ylabel("64 pixels", fontsize="small")
    for panel in panels[-1]:
        panel.set_xlabel("64 neurons", fontsize="small")
    figure.suptitle("First layer of the network: the weights that stay", fontsize="medium")
    figure.savefig(picture, dpi=150)


def print_table(rows) -> None:
    """One line a row, under the names of the columns."""
    lines = [("problem", "result", "certificate"), *((row.problem, row.result, row.certificate) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
