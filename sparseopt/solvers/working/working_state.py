"""Where a run on a working set stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparseopt.solvers.base import State
from sparseopt.solvers.working.concave_search import ConcaveSearch
from sparseopt.solvers.working.working_columns import WorkingColumns
from sparseopt.solvers.working.working_model import WorkingModel


@dataclass
class WorkingState(State):
    """State with the model on the working set and the slopes of the loss in all features."""

    model: WorkingModel | None = None
    columns: WorkingColumns | None = None
    is_in: np.ndarray | None = None
    slopes: np.ndarray | None = None
    #: Factor of the penalty's alpha: it comes down to 1.
    strength: float = 1.0
    #: Nothing has entered yet but the support.
    is_new: bool = True
    #: While set, a penalty that is less concave stands for the problem's, and its strength comes down further.
    search: ConcaveSearch | None = None
    #: Searches for low minima, and looks since the last.
    searches: int = 0
    sketches: int = 0
    #: Minima of the model, one after another.
    minima: Iterator | None = None
    #: Distance to stationarity when slopes were last exact at the full strength.
    last_exact: float = np.inf
    #: The last minimisation was cut short, to be gone on with: its penalty, form and tolerance.
    unfinished: tuple | None = None
    #: A minimisation in parts, stopped between two of them.
    minimising: Iterator | None = None
    #: After so many more calls it is looked at all the same.
    patience: int = 0
    #: Once the model makes no progress, plain coordinate descent has the rest.
    descent: State | None = None
    #: Looks at all of X.
    looks: int = 1

    def account(self):
        if self.descent is not None:
            return "handed over to CoordinateDescent"
        return f"{self.model.account()}; {self.looks} looks at X"
