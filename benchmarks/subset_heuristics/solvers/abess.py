"""abess: splicing (Zhu et al., 2020), at the size alone, along the path of sizes, and with all exchanges."""

from abess import LinearRegression

from benchmarks.grammar import TunedSolver

WAYS = {
    "size": {},
    "path": {"ic_type": "loss"},
    "full": {"ic_type": "loss", "important_search": 0, "splicing_type": 1, "max_iter": 100},
}


class Solver(TunedSolver):
    """Without an intercept: the data is centred."""

    name = "abess"
    requirements = ["pip::abess"]
    parameters = {"way": list(WAYS)}
    parameter_template = "{way}"
    tolerances = (1e-6,)

    def fit(self, problem, tolerance):
        sizes = problem.k if self.way == "size" else range(1, problem.k + 1)
        options = {**WAYS[self.way], **({"exchange_num": problem.k} if self.way == "full" else {})}
        model = LinearRegression(support_size=sizes, fit_intercept=False, **options)
        return model.fit(problem.X, problem.y).coef_
