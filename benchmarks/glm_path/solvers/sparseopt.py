"""Ours: `path` of each model."""

import sparseopt as so

from benchmarks.ours import OurPath

# the names of sparseopt that each model needs
NAMES = {
    "Poisson": ("Poisson",),
    "Huber": ("Huber",),
    "Cox": ("Cox",),
    "multinomial": ("Multinomial",),
    "grouped multinomial": ("Multinomial", "GroupLasso"),
    "multi-response": ("MultiResponse", "GroupLasso"),
    "SLOPE": ("SLOPE",),
}


class Solver(OurPath):
    """`tol` is the relative duality gap of each point."""

    parameters = {"method": ["default", "WorkingSet", "ProxNewton", "FISTA"]}

    def needed(self, problem):
        return NAMES[problem.model]

    def build(self, problem):
        X, y = problem.X, problem.y
        match problem.model:
            case "Poisson":
                loss = so.Poisson(X, y)
            case "Huber":
                loss = so.Huber(X, y, delta=problem.delta)
            case "Cox":
                loss = so.Cox(X, y[:, 0], y[:, 1])
            case "multinomial" | "grouped multinomial":
                loss = so.Multinomial(X, y)
            case "multi-response":
                loss = so.MultiResponse(X, y)
            case _:
                loss = so.LeastSquares(X, y)
        return so.Problem(loss, self.penalty(problem, problem.alphas[0]))

    def penalty(self, problem, alpha):
        match problem.model:
            case "multi-response":
                return so.GroupLasso(alpha, problem.y.shape[1], [1.0])
            case "grouped multinomial":
                return so.GroupLasso(alpha, len(set(problem.y)), [1.0])
            case "SLOPE":
                return so.SLOPE(alpha * problem.sequence)
        return so.L1(alpha)
