"""Linear models of classes that lie far apart, whose probabilities are certain."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

import sparseopt as so
from sparseopt.pruning import (
    AlternatingDirections,
    LayerwiseBranchAndBound,
    NetworkL0,
    NofM,
    NumpyMLP,
    prune_path,
)

X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("model", [LinearDiscriminantAnalysis(), LogisticRegression(C=1e6, max_iter=5000)], ids=repr)
@pytest.mark.parametrize("sparsity", [0.5, 0.6])
def test_no_class_is_lost_because_all_its_samples_are_certain(model, sparsity):
    """The second order says that a certain class needs no weights; without them all its samples are wrong."""
    model.fit(X, Y)
    pruned = so.prune(model, X, sparsity=sparsity)
    assert pruned.model.score(X, Y) >= model.score(X, Y) - 0.05
    assert (pruned.model.predict(X[Y == 0]) == 0).all()
    (same,) = prune_path(model, X, sparsities=(sparsity,))
    assert same.mask == pruned.mask


def test_curvatures_that_are_zero_to_the_last_bit_say_nothing_of_a_class():
    """Outputs are so far apart that the probabilities of the first class are 0 and 1 in floating point."""
    weight = np.array([[0.0, 0.0, 0.0], [0.0, 4.0, -4.0], [-900.0, 450.0, 450.0], [0.0, 0.0, 0.0]])
    network = NumpyMLP([weight], [np.array([2000.0, -1000.0, -1000.0])], link="softmax")
    before = network.outputs(X).argmax(axis=1)
    pruned = so.prune(network, X, sparsity=0.6)
    assert (before == 0).sum() == 50
    assert ((pruned.model.outputs(X).argmax(axis=1) == 0) == (before == 0)).all()


def test_a_threshold_is_one_of_the_scores_of_the_method():
    """The rival's are of another size."""
    model = LinearDiscriminantAnalysis().fit(X, Y)
    for threshold, kept in ((1e-3, 8), (0.01, 6), (0.1, 4), (0.5, 2)):
        assert so.prune(model, X, threshold=threshold).mask.kept == kept


@pytest.mark.parametrize("sparsity", [0.5, 0.6])
@pytest.mark.parametrize("method", [LayerwiseBranchAndBound(), AlternatingDirections(), NetworkL0()], ids=repr)
def test_other_methods_that_share_a_budget_lose_no_class_either(method, sparsity):
    model = LinearDiscriminantAnalysis().fit(X, Y)
    pruned = so.prune(model, X, sparsity=sparsity, method=method)
    assert (pruned.model.predict(X[Y == 0]) == 0).all()


def test_a_pattern_holds_whichever_scores_are_taken():
    model = LinearDiscriminantAnalysis().fit(X, Y)
    kept = so.prune(model, X, pattern=NofM(2, 4)).mask["coef_"]
    assert (kept.sum(axis=1) == 2).all()
