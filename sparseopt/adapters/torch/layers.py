"""Solutions of quadratic programs as layers of PyTorch: w as a function of the data, with its slopes.

The backward pass is one linear system on the active set (`solution_slopes`; Amos and Kolter, 2017).
"""

from __future__ import annotations

import numpy as np
import torch

from sparseopt.inputs import as_number
from sparseopt.new_data import with_data
from sparseopt.sensitivity import solution_slopes
from sparseopt.solution import NotCertified, Status, UnsupportedProblem
from sparseopt.solve import solve
from sparseopt.solvers.base import Solver
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.quadratic.quadratic_program import unfit

NAMES = ("linear", "targets", "row_lower", "row_upper", "lower", "upper", "alpha")


class SolutionLayer(torch.nn.Module):
    """The solution of a quadratic program as a differentiable function of its data.

    ``layer(linear=c)`` is the w that minimises the problem with c in place of its linear term; the
    data that are not given are the problem's. Names are those of `DataSlopes`:

    - `linear` of shape (p,): c of a `Quadratic`;
    - `targets` of shape (n,): y of a `LeastSquares`;
    - `row_lower` and `row_upper` of shape (m,): sides of the rows. The right-hand side b of equalities
      is given as both, ``layer(row_lower=b, row_upper=b)``, and gets the slopes of both;
    - `lower` and `upper` of shape (p,): bounds;
    - `alpha` of shape () or (p,): slopes of the L1 term.

    A tensor with one more dimension in front is a batch; data without it are shared.

    Parameters
    ----------
    problem : Problem
        `Quadratic` or `LeastSquares` with Zero or L1 terms, under rows, boxes and simplices.
    solver : Solver, optional
        By default `InteriorPoint`, which ends on the exact active set.
    tol : float, default 1e-10
        Fine, because the slopes are those of the active set.

    Raises
    ------
    UnsupportedProblem
        Where the problem is no convex quadratic program.
    NotCertified
        In the forward pass, where some data have no solution or it was not reached; the message says which.

    References
    ----------
    Amos and Kolter: OptNet: differentiable optimization as a layer in neural networks. ICML (2017).
    """

    def __init__(self, problem, solver: Solver | None = None, *, tol=1e-10):
        super().__init__()
        if reason := unfit(problem):
            raise UnsupportedProblem(f"SolutionLayer: {reason}.")
        self.problem, self.solver = problem, solver or InteriorPoint()
        self.tol = as_number(tol, "tol", least=0.0)

    def forward(self, **data):
        """Solution w of shape (p,), or (batch, p), in the type of the first tensor."""
        for name in data:
            if name not in NAMES:
                raise TypeError(f"SolutionLayer has no data {name!r}; it takes {', '.join(NAMES)}.")
        tensors = {name: torch.as_tensor(value) for name, value in data.items()}
        batches = {len(t) for name, t in tensors.items() if t.ndim == _dimensions(name, t) + 1}
        if len(batches) > 1:
            raise ValueError(f"batches of {sorted(batches)} do not go together; give all the same length.")
        names = tuple(tensors)
        if not batches:
            return _Solved.apply(self, names, *tensors.values())
        count = batches.pop()
        parts = [
            [t[k] if t.ndim == _dimensions(name, t) + 1 else t for name, t in tensors.items()] for k in range(count)
        ]
        return torch.stack([_Solved.apply(self, names, *part) for part in parts])

    def extra_repr(self):
        """What torch shows of the layer."""
        return f"{type(self.problem.loss).__name__} of {self.problem.n_features} coefficients, tol={self.tol:g}"


def _dimensions(name, tensor):
    """Dimensions of a datum without a batch; one number for all alphas cannot have one."""
    return 0 if name == "alpha" and tensor.ndim == 0 else 1


class _Solved(torch.autograd.Function):
    """Forward: solve; backward: the slopes of the solution in the data that were given."""

    @staticmethod
    def forward(ctx, layer, names, *tensors):
        data = {
            name: tensor.detach().cpu().numpy().astype(np.float64) for name, tensor in zip(names, tensors, strict=True)
        }
        problem = with_data(layer.problem, **data)
        solution = solve(problem, layer.solver, tol=layer.tol)
        if solution.status is not Status.CONVERGED:
            raise NotCertified(f"the problem of a SolutionLayer ended {solution.status.name}: {solution.status.value}")
        ctx.problem, ctx.solution, ctx.names = problem, solution, names
        ctx.kinds = [(tensor.shape, tensor.dtype, tensor.device) for tensor in tensors]
        _, kind, device = ctx.kinds[0] if tensors else (None, torch.float64, None)
        return torch.as_tensor(solution.w, dtype=kind, device=device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, pull):
        slopes = solution_slopes(ctx.problem, ctx.solution, pull.detach().cpu().numpy().astype(np.float64))
        found = []
        for name, (shape, kind, device) in zip(ctx.names, ctx.kinds, strict=True):
            slope = getattr(slopes, name)
            slope = slope.sum() if len(shape) == 0 else slope.reshape(shape)
            found.append(torch.as_tensor(slope, dtype=kind, device=device))
        return None, None, *found
