"""Layers of few inputs: their moments, and the least errors by brute force."""

import itertools

import numpy as np


def errors(gram, b, energy):
    """Least error of each number of weights, by brute force."""
    p, found = len(b), [energy]
    for count in range(1, p + 1):
        supports = (list(s) for s in itertools.combinations(range(p), count))
        found.append(min(energy - b[s] @ np.linalg.lstsq(gram[np.ix_(s, s)], b[s], rcond=None)[0] for s in supports))
    return np.array(found)


def moments(inputs, targets):
    n = len(inputs)
    return inputs.T @ inputs / n, targets.T @ inputs / n, np.mean(targets**2, axis=0)
