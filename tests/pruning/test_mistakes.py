"""Options and files that `prune` cannot use are refused in words."""

import io

import joblib
import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import LinearRegression, PoissonRegressor, Ridge, SGDOneClassSVM, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor

import sparseopt as so
from sparseopt.pruning import (
    SGD,
    AlternatingDirections,
    Linear,
    Magnitude,
    NofM,
    NumpyMLP,
    QualityLoss,
    Random,
    RandomNeurons,
    SparseNetwork,
    SparsityReached,
    prune_features,
    prune_neurons,
    prune_path,
    quantised,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
WRONG = ["4", [1], True, 2.5, np.nan, np.inf, 0, 7]
NETWORK = NumpyMLP([RNG.standard_normal((6, 5)), RNG.standard_normal((5, 2))])


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"resume": 3}, TypeError, "resume is int; give the Pruned"),
        ({"validation": (X,)}, ValueError, "validation is a tuple of 1; give"),
        ({"layers": []}, ValueError, "layers is empty; leave it out for all"),
        ({"sparsity": "half"}, TypeError, "sparsity is 'half'; give one number"),
        ({"time_limit": "5"}, TypeError, "time_limit is '5'; give a positive number of seconds"),
        ({"stop": 3}, TypeError, "stop is 3; give stop rules"),
        ({"random_state": -1}, ValueError, "random_state is -1; give a whole number from 0"),
        ({"random_state": None}, ValueError, "random_state is None; give a whole number from 0"),
        ({"calibration": True}, ValueError, "calibration is True; give how many"),
        ({"y": np.ma.masked_less(X[:, :2], 0)}, ValueError, "y is a masked array with missing values"),
        ({"y": np.zeros(40, int)}, ValueError, "unless y is classes, which the network has to know"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_a_mistaken_option_is_named(options, kind, words):
    with pytest.raises(kind, match=words):
        so.prune(NETWORK, X, **{"sparsity": 0.5, **options})


def test_whole_numbers_of_numpy_are_whole_numbers_and_booleans_are_none():
    two = np.int64(2)
    assert (
        so.prune(NETWORK, X, sparsity=0.5, schedule=Linear(two), calibration=two * 10, random_state=two).mask.kept == 20
    )
    for wrong in (lambda: Linear(True), lambda: NofM(True, 4), lambda: AlternatingDirections(threads=1.5)):
        with pytest.raises(ValueError, match="give"):
            wrong()


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_seeds_of_scores_are_whole_numbers(seed):
    for score in (Random, RandomNeurons):
        with pytest.raises(ValueError, match="give a whole number from 0"):
            score(seed=seed)


@pytest.mark.parametrize("path", [1, None, b"name", io.BytesIO()])
def test_a_file_is_written_to_a_path_only(path):
    """A number is a file that is open already, 1 the standard output."""
    writers = (so.Mask({"w": np.array([True])}).save, SparseNetwork.of(NETWORK).save)
    for touch in (*writers, so.Mask.load, SparseNetwork.load):
        with pytest.raises(TypeError, match="path must be a string or a path, got"):
            touch(path)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        *(({"keep": wrong}, ValueError, "features are to stay; give a whole number from 1 to 6") for wrong in WRONG),
        ({"sparsity": "half"}, TypeError, "sparsity is 'half'; give the part of features"),
    ],
    ids=str,
)
def test_a_wrong_number_of_features_is_told(options, kind, words):
    with pytest.raises(kind, match=words):
        prune_features(LinearRegression(), X, X[:, 0], **options)


def test_a_search_and_weights_that_are_mapped_say_what_to_give(tmp_path):
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}).fit(X, X[:, 0])
    with pytest.raises(TypeError, match="of a search, give its best_estimator_"):
        so.prune(search, X, sparsity=0.5)
    joblib.dump(
        MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, solver="lbfgs", tol=1e9).fit(X, X[:, 0]), tmp_path / "m"
    )
    mapped = joblib.load(tmp_path / "m", mmap_mode="r")
    mask = so.prune(mapped, X, sparsity=0.5).mask
    with pytest.raises(ValueError, match="read-only.*load it without mmap_mode"):
        mask.hold(mapped)


def test_rules_numbers_of_neurons_and_sparsities_of_a_wrong_kind_are_refused():
    for wrong in (
        lambda: QualityLoss("0.1"),
        lambda: SparsityReached("0.5"),
        lambda: prune_neurons(NETWORK, X, keep=True),
    ):
        with pytest.raises(ValueError, match="give"):
            wrong()
    for sparsities in (0.5, "0.5"):
        with pytest.raises(TypeError, match="sparsities is .*; give several numbers, or one to `prune`"):
            prune_path(NETWORK, X, sparsities=sparsities)


def test_labels_of_a_model_with_a_logarithmic_link_are_refused():
    """Its linear map gives logarithms, which are far from y, and a quality by them would be nonsense."""
    y = np.exp(X[:, 0])
    model = PoissonRegressor().fit(X, y)
    for options in ({"y": y}, {"validation": (X, y)}):
        with pytest.raises(ValueError, match="PoissonRegressor predicts no linear map of X"):
            so.prune(model, X, sparsity=0.5, **options)
    assert so.prune(model, X, sparsity=0.5).dense_quality == 1.0
    assert so.prune(TweedieRegressor(power=0).fit(X, X[:, 0]), X, X[:, 0], sparsity=0.5).dense_quality > 0.5


def test_linear_models_of_another_form_are_refused():
    """A PLSRegression takes the means out of X first: its coef_ and intercept_ are not all that it predicts by."""
    with pytest.raises(TypeError, match="PLSRegression takes the means out of X"):
        so.prune(PLSRegression(1).fit(X, X[:, 0]), X, sparsity=0.5)
    with pytest.raises(TypeError, match="SGDOneClassSVM has a coef_ and no intercept_"):
        so.prune(SGDOneClassSVM().fit(X), X, sparsity=0.5)


def test_the_error_of_a_layer_is_told_of_constant_and_of_large_outputs():
    constant = so.prune(NETWORK, np.ones((40, 6)), sparsity=0.5)
    assert all(layer.error == 0 or np.isinf(layer.error) for layer in constant.layers)
    large = NumpyMLP([weight.astype(np.float32) for weight in NETWORK.weights])
    usual, scaled = (
        so.prune(large, samples.astype(np.float32), sparsity=0.5, method=Magnitude()) for samples in (X, X * 1e20)
    )
    assert [layer.error for layer in scaled.layers] == pytest.approx([layer.error for layer in usual.layers], rel=1e-4)
    assert scaled.quality == pytest.approx(usual.quality, rel=1e-4)


def test_missing_samples_are_refused():
    """What is under the mask of an array was pruned by."""
    with pytest.raises(ValueError, match="X is a masked array with missing values"):
        so.prune(NETWORK, np.ma.array(X, mask=np.eye(40, 6)), sparsity=0.5)
    with pytest.raises(ValueError, match="X is None"):
        so.prune(NETWORK, None, sparsity=0.5)


@pytest.mark.parametrize("bits", [None, "8"])
def test_bits_are_a_number(bits):
    with pytest.raises(TypeError, match="bits is .*; give a whole number"):
        quantised(NETWORK, bits=bits)


def test_a_damaged_network_is_refused_in_words(tmp_path):
    """Each byte of the directory at the end of the file says something else about what is in it."""
    path = tmp_path / "network.npz"
    SparseNetwork.of(NETWORK).save(path)
    whole = path.read_bytes()
    directory = whole.rindex(b"PK\x01\x02")
    for place in (directory + 6, directory + 8, directory + 10, len(whole) - 4):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="network.npz"):
            SparseNetwork.load(path)
    with pytest.raises(FileNotFoundError):
        SparseNetwork.load(tmp_path / "none.npz")


def test_a_training_that_diverges_says_so():
    """Its activations overflow on the way, which is not the fault of the samples."""
    y = X[:, :2]
    refit = SGD(epochs=500, learning_rate=1e30)
    with pytest.raises(ValueError, match="the training diverged in its step .*; lower the learning_rate of"):
        so.prune(NETWORK, X, y, sparsity=0.5, method=Magnitude(), refit=refit)


def test_both_arguments_of_undo_are_of_one_kind():
    mask = so.prune(NETWORK, X, sparsity=0.5).mask
    with pytest.raises(TypeError, match="undo got tuple and NumpyMLP; give both as arrays or both as models"):
        mask.undo(NETWORK.weights, NETWORK)
