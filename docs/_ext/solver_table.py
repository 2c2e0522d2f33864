"""The directive `solver-table`: which solver takes which problem, asked of `rejects()` itself."""

import numpy as np
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import sparseopt as so

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 5)), RNG.standard_normal(20)
SQUARES, LABELS = so.LeastSquares(X, Y), np.sign(Y)
WORST = so.WorstCase.over_groups(so.LeastSquares, X, Y, np.arange(20) % 2)
SUM_TO_ONE = so.LinearConstraint(np.ones((1, 5)), 1.0, 1.0)

PROBLEMS = {
    "`LeastSquares` + `L1`": so.Problem(SQUARES, so.L1(0.1)),
    "`LeastSquares` + `Ridged(L1)`": so.Problem(SQUARES, so.Ridged(so.L1(0.1), 0.1)),
    "`LeastSquares` + `Nonnegative(L1)`": so.Problem(SQUARES, so.Nonnegative(so.L1(0.1))),
    "`LeastSquares` + `MCP` or `SCAD`": so.Problem(SQUARES, so.MCP(0.1)),
    "`LeastSquares` + `GroupLasso` or `SparseGroupLasso`": so.Problem(SQUARES, so.GroupLasso(0.1, 5)),
    "`LeastSquares` + `GroupMCP` or `GroupSCAD`": so.Problem(SQUARES, so.GroupMCP(0.1, 5)),
    "`Logistic` + `GroupLasso`": so.Problem(so.Logistic(X, LABELS), so.GroupLasso(0.1, 5)),
    "`LeastSquares` + `L0`": so.Problem(SQUARES, so.L0(0.1)),
    "`LeastSquares`, `Cardinality`": so.Problem(SQUARES, constraint=so.Cardinality(2)),
    "`LeastSquares`, `GroupCardinality`": so.Problem(SQUARES, constraint=so.GroupCardinality(2, [0, 0, 1, 1, 2])),
    "`LeastSquares`, `Cardinality` and `Box`": so.Problem(
        SQUARES, constraint=so.Intersection(so.Cardinality(2), so.Box(0.0, np.inf))
    ),
    "`LeastSquares`, `Cardinality` and `StrongHierarchy`": so.Problem(
        SQUARES, constraint=so.Intersection(so.Cardinality(2), so.StrongHierarchy({4: (0, 1)}))
    ),
    "`LeastSquares` or `Quadratic`, `Cardinality` and `LinearConstraint`": so.Problem(
        SQUARES, constraint=so.Intersection(so.Cardinality(2), SUM_TO_ONE)
    ),
    "`MultiResponse`, `RowCardinality`": so.Problem(so.LeastSquares(X, X[:, :2]), constraint=so.RowCardinality(2)),
    "`LeastSquares`, `Box`": so.Problem(SQUARES, constraint=so.Box(0.0, 1.0)),
    "`LeastSquares`, `Simplex` or `L1Ball`": so.Problem(SQUARES, constraint=so.Simplex()),
    "`LeastSquares` + `L1`, `LinearConstraint`": so.Problem(SQUARES, so.L1(0.1), SUM_TO_ONE),
    "`LeastSquares` + `L1`, `LinearConstraint` of differences": so.Problem(
        SQUARES, so.L1(0.1), so.LinearConstraint(np.diff(np.eye(5), axis=0), 0.0, np.inf)
    ),
    "`Logistic` + `L1`": so.Problem(so.Logistic(X, LABELS), so.L1(0.1)),
    "`Logistic`, `Cardinality`": so.Problem(so.Logistic(X, LABELS), constraint=so.Cardinality(2)),
    "`Huber` + `L1`": so.Problem(so.Huber(X, Y, delta=1.0), so.L1(0.1)),
    "`Poisson` or `Gamma` + `L1`": so.Problem(so.Poisson(X, np.exp(Y)), so.L1(0.1)),
    "`Quantile` (smoothed) or `SquaredHinge` + `L1`": so.Problem(so.Quantile(X, Y), so.L1(0.1)),
    "`LeastSquares` + `SLOPE`": so.Problem(SQUARES, so.SLOPE.oscar(0.1, 0.01, 5)),
    "`LeastSquares` + `TotalVariation`, `FusedLasso` or `ExclusiveLasso`": so.Problem(SQUARES, so.TotalVariation(0.1)),
    "`LeastSquares` + `TrendFiltering` or `Composed`": so.Problem(SQUARES, so.TrendFiltering(0.1)),
    "`MultiResponse` + `L1`": so.Problem(so.LeastSquares(X, X[:, :2]), so.L1(0.1)),
    "`MultiResponse` + `GroupLasso` of rows": so.Problem(so.LeastSquares(X, X[:, :2]), so.GroupLasso(0.1, 2)),
    "`Multinomial` + `L1`": so.Problem(so.Multinomial(X, LABELS), so.L1(0.1)),
    "`Cox` + `L1`": so.Problem(so.Cox(X, np.abs(Y), Y > 0), so.L1(0.1)),
    "`WorstCase` + `L1`": so.Problem(WORST, so.L1(0.1)),
    "`WorstCase`, `Cardinality`": so.Problem(WORST, constraint=so.Cardinality(2)),
    "`Perturbed`": so.Problem(so.Perturbed(SQUARES, 0.1)),
    "`Quadratic` + `L1`": so.Problem(so.Quadratic(X.T @ X, X.T @ Y), so.L1(0.1)),
    "`Quadratic`, `LinearConstraint` and `Box`": so.Problem(
        so.Quadratic(X.T @ X, X.T @ Y), constraint=so.Intersection(SUM_TO_ONE, so.Box(0.0, np.inf))
    ),
    "`Logistic` + `L1`, `NonlinearConstraint`": so.Problem(
        so.Logistic(X, LABELS), so.L1(0.1), so.NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0)
    ),
    "`Smooth` + `L1`": so.Problem(so.Smooth(lambda w: w @ w, n_features=5), so.L1(0.1)),
}
SOLVERS = (
    so.ProximalGradient(),
    so.CoordinateDescent(),
    so.WorkingSet(),
    so.GramDescent(),
    so.ProxNewton(),
    so.BlockDescent(),
    so.LocalSearch(),
    so.BranchAndBound(),
    so.OrthogonalMatchingPursuit(),
    so.Splicing(),
    so.HardThresholding(),
    so.ActiveSet(),
    so.InteriorPoint(),
    so.OperatorSplitting(),
    so.ConstrainedWorkingSet(),
    so.MonotoneWorkingSet(),
    so.SlopeWorkingSet(),
    so.TiedNewton(),
    so.Splitting(),
    so.RowDescent(),
    so.CoupledNewton(),
    so.AugmentedLagrangian(),
    so.Minimax(),
    so.SmoothedMinimax(),
    so.MinimaxSearch(),
    so.MinimaxBranchAndBound(),
)


class SolverTable(SphinxDirective):
    """A table of yes and footnotes; each footnote is the reason a solver gives."""

    def run(self):
        """Write the table as Markdown and let the page's parser read it."""
        reasons: list[str] = []
        lines = [
            "| problem | " + " | ".join(f"`{type(solver).__name__}`" for solver in SOLVERS) + " |",
            "|---" * (len(SOLVERS) + 1) + "|",
        ]
        for title, problem in PROBLEMS.items():
            cells = [self.cell(solver.rejects(problem), reasons) for solver in SOLVERS]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
        lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, start=1))]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, container)
        return container.children

    @staticmethod
    def cell(reason, reasons):
        """`yes`, or the number of the reason."""
        if reason is None:
            return "yes"
        if reason not in reasons:
            reasons.append(reason)
        return f"no ({reasons.index(reason) + 1})"


def setup(app):
    """Make the directive known to Sphinx."""
    app.add_directive("solver-table", SolverTable)
    return {"parallel_read_safe": True}
