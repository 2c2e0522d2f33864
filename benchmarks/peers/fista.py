"""A FISTA of another library on L1; a suite says what the smooth term is."""

from abc import abstractmethod

import numpy as np

from benchmarks.grammar import TunedSolver


class GradientSolver(TunedSolver):
    """The step that a constant curvature allows is found before the clock starts."""

    is_extra = True

    @abstractmethod
    def smooth(self, problem):
        """A term of `peers.smooth`."""

    def warm_up(self):
        self.length = self.smooth(self.problem).longest_step()
        self.run(self.tolerances[0])

    def start(self, problem):
        return np.zeros(problem.X.shape[1])
