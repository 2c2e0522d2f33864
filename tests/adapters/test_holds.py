"""Masks that hold while perceptrons of scikit-learn train."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sparseopt.mask import Mask
from sparseopt.pruning import Magnitude, NumpyMLP, prune

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 12))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def fitted(kind=MLPClassifier, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(hidden_layer_sizes=(10, 6), **{"max_iter": 8, "random_state": 0, "alpha": 0.1, **options}).fit(X, Y)


def revived(model, mask):
    return sum(np.count_nonzero(model.coefs_[int(name.removeprefix("coefs_"))][~kept]) for name, kept in mask.items())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("warm_start", [True, False])
def test_no_weight_is_revived_by_any_solver(kind, solver, warm_start):
    """The momentum of the fit before is there when the hold begins."""
    model = fitted(kind, solver=solver, warm_start=warm_start)
    mask = prune(model, X, sparsity=0.7, method=Magnitude()).mask
    hold = mask.hold(model)
    assert revived(model, mask) == 0
    twins = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for held in (model, *twins):
        if solver != "lbfgs":
            before = held.coefs_[0].copy()
            for _ in range(5):
                held.partial_fit(X, Y)
            assert revived(held, mask) == 0
            assert (held.coefs_[0] != before)[mask["coefs_0"]].all()
        held.fit(X, Y)
        assert revived(held, mask) == 0
    assert not np.shares_memory(model.coefs_[0], twins[0].coefs_[0])
    hold.remove()
    hold.remove()
    model.fit(X, Y)
    assert revived(model, mask) > 0


def test_training_with_a_hold_is_training_of_the_kept_weights():
    """A hold on a mask that drops nothing changes nothing."""
    plain, held = fitted(), fitted()
    with Mask({f"coefs_{i}": np.ones(coef.shape, bool) for i, coef in enumerate(held.coefs_)}).hold(held):
        for model in (plain, held):
            model.partial_fit(X, Y)
    assert all(map(np.array_equal, plain.coefs_, held.coefs_))
    assert vars(plain).keys() == vars(held).keys()


def test_a_model_has_a_mask():
    pruned = prune(fitted(), X, sparsity=0.7)
    assert Mask.of(pruned.model) == pruned.mask
    network = NumpyMLP([np.eye(2), np.ones((2, 1))])
    assert Mask.of(network)["weights_0"].tolist() == [[True, False], [False, True]]
    lasso = linear_model.Lasso(alpha=0.3).fit(X, X[:, 0])
    assert Mask.of(lasso)["coef_"].tolist() == (lasso.coef_ != 0).tolist()
    with pytest.raises(TypeError, match="no model that can be pruned"):
        Mask.of("text")


def test_a_perceptron_of_counts_is_refused():
    with pytest.raises(TypeError, match="loss 'poisson'"):
        prune(fitted(MLPRegressor, loss="poisson"), X, sparsity=0.5)


@pytest.mark.parametrize(
    ("mistake", "message", "error"),
    [
        (lambda m: m.hold(linear_model.SGDClassifier().fit(X, Y)), "fit on the kept columns", TypeError),
        (lambda m: m.hold(NumpyMLP([np.eye(2)])), "not trained in place", TypeError),
        (lambda m: m.hold(MLPClassifier()), "not fitted", NotFittedError),
        (lambda m: Mask({"coefs_9": np.ones((2, 2), bool)}).hold(fitted()), "the weights do not", ValueError),
        (lambda m: Mask({"coefs_0": np.ones((2, 2), bool)}).hold(fitted()), "they must agree", ValueError),
    ],
)
def test_what_cannot_be_held_is_refused(mistake, message, error):
    with pytest.raises(error, match=message):
        mistake(Mask({"coefs_0": np.ones((12, 10), bool)}))
