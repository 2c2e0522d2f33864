"""A tree whose open nodes are worked on in several lanes, which threads may share.

The tree goes ahead alone until it has so many open nodes that there is work for all. Then it goes on in rounds. In each the
best open nodes are dealt to a fixed number of lanes, in turns; a lane is a small tree with a relaxation of its own, which
visits as many nodes as it was dealt, and knows of the others no more than the incumbent and the least bound at the start of
the round. At the end what is open goes back, lane by lane.

So what a lane does depends on no other lane, and not on the clock: with any number of threads the same nodes are visited,
with the same bounds and incumbents, digit by digit. A limit of time ends the run within a round; what is proven until
then is the least bound of all nodes that are open anywhere.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from sparseopt.solvers.trees.forest import Forest
from sparseopt.threads import run_jobs

# Lanes; it is no more than the number of threads that find work, and more even out what nodes differ in.
LANES = 8
# Nodes that a lane visits in a round, at most: the incumbent is older by no more than all of them.
_MOST = 8


class Before(NamedTuple):
    """Nodes that the tree visits alone, at least, and open ones for each lane, before the lanes begin."""

    visited: int = 200
    n_open: int = 2


BEFORE = Before()


class Lanes(Forest):
    """The lanes with the face of a tree.

    Parameters
    ----------
    trunk : Tree
        Its relaxation must have a `twin`.
    threads : int
        Lanes that are worked on at the same time.
    """

    def __init__(self, trunk, threads):
        self.trunk, self.threads = trunk, threads
        self.lanes = []
        #: Nodes that each lane has still to visit in this round.
        self.left = []

    @property
    def trees(self):
        """All that may hold nodes."""
        return [self.trunk, *self.lanes]

    @property
    def relaxation(self):
        """That of the trunk."""
        return self.trunk.relaxation

    @property
    def floor(self):
        """The least that the tolerance is relative to."""
        return self.trunk.floor

    @property
    def keep_proof(self):
        """Whether all nodes are kept."""
        return self.trunk.keep_proof

    @property
    def nodes(self):
        """All that are kept, in the order of trees, in which parents come first."""
        return [node for tree in self.trees for node in tree.nodes]

    @property
    def lower_bound(self):
        """What is proven of all supports."""
        return min(tree.lower_bound for tree in self.trees)

    @property
    def is_finished(self):
        """Whether no open node may hold anything better; a round that has begun ends first."""
        return not any(self.left) and all(tree.is_finished for tree in self.trees)

    def offer(self, objective, point):
        """A better incumbent, if it is one."""
        self.trunk.offer(objective, point)

    def account(self):
        """How many nodes were visited, in words."""
        return f"{self.visited} nodes"

    def run(self, until, most):
        """Visit nodes until the time `until`, at most `most` of them; returns how many."""
        before = self.visited
        while self.visited - before < most and not self.is_finished:
            most_now = most - (self.visited - before)
            if self._is_alone():
                self.trunk.run(until, min(most_now, max(1, BEFORE.visited - self.trunk.visited)))
            else:
                if not any(self.left):
                    self._deal(most_now)
                self._work(until)
            if time.perf_counter() >= until:
                break
        return self.visited - before

    def _is_alone(self):
        trunk = self.trunk
        return not self.lanes and (trunk.visited < BEFORE.visited or trunk.n_open < BEFORE.n_open * LANES)

    def _deal(self, most):
        """Begin a round of at most so many nodes: those that lanes dive into, and the best of the others."""
        trunk, most = self.trunk, min(_MOST * LANES, most)
        if not self.lanes:
            self.lanes = [trunk.branch_off() for _ in range(LANES)]
        least = min(tree.least_open for tree in self.trees)
        held = [lane.n_open for lane in self.lanes]
        nodes = trunk.take(most - sum(held))
        for place, lane in enumerate(self.lanes):
            lane.go_on(nodes[place::LANES], trunk.objective, trunk.point, least)
        self.left = [count + len(nodes[place::LANES]) for place, count in enumerate(held)]
        # dives alone may be too many
        for place in range(LANES):
            self.left[place] = min(self.left[place], most - sum(self.left[:place]))

    def _work(self, until):
        """Go on with the round, to its end or to the time `until`."""
        waiting = [place for place, count in enumerate(self.left) if count]
        jobs = [self._job(place, until, place == waiting[0]) for place in waiting]
        run_jobs(jobs, min(self.threads, len(jobs)))
        if not any(self.left):
            self._gather()

    def _job(self, place, until, is_first):
        lane = self.lanes[place]

        def work():
            # a node is not begun where time is up, but for one, so that there is always progress
            if is_first or time.perf_counter() < until:
                done = lane.run(until, self.left[place])
                self.left[place] = 0 if lane.is_finished else self.left[place] - done

        return work

    def _gather(self):
        """Give back what is open, and tell the trunk of the best incumbent."""
        for lane in self.lanes:
            self.trunk.offer(lane.objective, lane.point)
            lane.give_back(self.trunk)
