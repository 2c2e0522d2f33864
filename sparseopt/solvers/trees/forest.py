"""Several trees on one problem: the nodes of all, and the best incumbent of any."""

from abc import ABC, abstractmethod


class Forest(ABC):
    """Trees that are searched together, with the face of one; what they prove together is for the subclass to say."""

    @property
    @abstractmethod
    def trees(self):
        """All that may hold nodes."""

    @property
    def visited(self):
        """Nodes of all trees."""
        return sum(tree.visited for tree in self.trees)

    @property
    def best(self):
        """The tree with the best incumbent, the first of equals."""
        return min(self.trees, key=lambda tree: tree.objective)

    @property
    def objective(self):
        """Of the incumbent."""
        return self.best.objective

    @property
    def point(self):
        """The incumbent."""
        return self.best.point
