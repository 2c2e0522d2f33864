"""Sparse networks, quantised weights and the report on sizes."""

import itertools
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from sparseopt.mask import Mask
from sparseopt.pruning import Activation, Magnitude, NumpyMLP, SparseNetwork, prune, quantised, size_report

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 12))
LABELS = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
SIZES = (12, 9, 6, 3)


def network(activation=Activation.RELU, *, biases=True, dtype=np.float64):
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in itertools.pairwise(SIZES)]
    return NumpyMLP(
        weights, [rng.standard_normal(size).astype(dtype) for size in SIZES[1:]] if biases else None, activation
    )


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sparse_network_predicts_what_the_masked_one_does(activation, biases, dtype):
    model = network(activation, biases=biases, dtype=dtype)
    mask = prune(model, X, sparsity=0.8, method=Magnitude()).mask
    sparse, masked = SparseNetwork.of(model, mask), mask.apply(model)
    tolerance = 1e3 * np.finfo(dtype).eps
    for samples in (X, X[:1], X[:4], X[:5], X[:129], X[::-1][:2]):
        found, expected = sparse.predict(samples.astype(dtype)), masked.predict(samples.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert sparse.kept == mask.kept
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sparse)).outputs(X), sparse.outputs(X))
    assert repr(sparse) == f"SparseNetwork(12-9-6-3, {mask.kept} weights, {sparse.nbytes} bytes)"


def test_models_of_scikit_learn_export_with_their_probabilities():
    for model in (
        MLPClassifier((9,), max_iter=300, tol=0.01, random_state=0).fit(X, LABELS),
        LogisticRegression().fit(X, LABELS),
    ):
        masked = prune(model, X, sparsity=0.7).model
        np.testing.assert_allclose(SparseNetwork.of(masked).predict(X), masked.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_network_is_loaded_as_it_was(tmp_path, biases, dtype):
    model = prune(network(Activation.TANH, biases=biases, dtype=dtype), X, sparsity=0.8).model
    sparse, path = SparseNetwork.of(NumpyMLP(model.weights, model.biases, "tanh", "softmax")), tmp_path / "network"
    sparse.save(path)
    loaded = SparseNetwork.load(path)
    np.testing.assert_array_equal(loaded.predict(X), sparse.predict(X))
    assert loaded.outputs(X).dtype == dtype
    assert repr(loaded) == repr(sparse)
    sparse.save(path, bits=8)
    rounded = SparseNetwork.of(quantised(model).model)
    np.testing.assert_allclose(SparseNetwork.load(path).outputs(X), rounded.outputs(X), atol=1e-5)


def test_a_file_with_codes_is_smaller(tmp_path):
    wide = NumpyMLP([RNG.standard_normal((300, 200)) * (RNG.random((300, 200)) < 0.1)])
    sizes = []
    for bits in (None, 12, 8):
        SparseNetwork.of(wide).save(tmp_path / "network", bits=bits)
        sizes.append((tmp_path / "network").stat().st_size)
    # 8, 2 and 1 bytes for a weight, beside at most 2 for its place.
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


def test_what_is_no_file_of_a_network_is_refused(tmp_path):
    Mask({"w": np.ones(3, bool)}).save(tmp_path / "mask")
    (tmp_path / "text").write_text("text")
    for name in ("mask", "text"):
        with pytest.raises(ValueError, match="holds no sparse network"):
            SparseNetwork.load(tmp_path / name)
    with pytest.raises(ValueError, match="bits"):
        SparseNetwork.of(network()).save(tmp_path / "new", bits=1)
    strange = replace(SparseNetwork.of(network()), functions=(np.abs,) * 4)
    with pytest.raises(TypeError, match="pickle the network"):
        strange.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_layer_without_weights_is_its_bias():
    model = Mask({"weights_0": np.zeros((12, 9), bool)}).apply(network())
    np.testing.assert_allclose(SparseNetwork.of(model).predict(X), model.predict(X), atol=1e-12)


def test_wrong_samples_are_told_at_the_door():
    sparse = SparseNetwork.of(network())
    for samples, message in ((X[:, :5], "12 columns"), (X[0], "12 columns"), (X * np.nan, "NaN")):
        with pytest.raises(ValueError, match=message):
            sparse.predict(samples)


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 12])
def test_quantised_weights_are_codes_times_scales_and_keep_the_mask(bits):
    pruned = prune(network(dtype=np.float32), X, sparsity=0.7)
    result = quantised(pruned.model, X=X, bits=bits)
    for layer, before, after in zip(result.layers, pruned.model.weights, result.model.weights, strict=True):
        assert layer.codes.dtype == (np.int8 if bits <= 8 else np.int16)
        assert abs(layer.codes.astype(int)).max() <= 2 ** (bits - 1) - 1
        np.testing.assert_array_equal(after, (layer.codes * layer.scales).astype(np.float32))
        assert not after[before == 0].any()
        error = np.sum((after.astype(float) - before) ** 2) / np.sum(before.astype(float) ** 2)
        assert layer.error == pytest.approx(error, rel=1e-3, abs=1e-13)
    assert (Mask.of(result.model) & ~pruned.mask).kept == 0


def test_more_bits_cost_less_and_the_scale_is_better_than_the_largest_weight():
    model = network()
    errors = [quantised(model, X=X, bits=bits) for bits in (2, 3, 4, 6, 8)]
    outputs = [result.output_error for result in errors]
    assert outputs == sorted(outputs, reverse=True)
    # Three layers, each rounded to a step of 1/127 of its largest weight: 1/12 of the step squared.
    assert errors[-1].output_error < 1e-3
    scale = abs(model.weights[0]).max(axis=0)
    naive = np.sum((np.rint(model.weights[0] / scale) * scale - model.weights[0]) ** 2)
    assert errors[0].layers[0].error * np.sum(model.weights[0] ** 2) < naive
    assert np.isnan(quantised(model).output_error)
    assert "8 bits, largest error of the weights" in repr(errors[-1])


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_biases_are_codes_times_one_scale_of_the_layer(tmp_path, bits):
    model = network()
    result, free = quantised(model, X=X, bias_bits=bits), quantised(model, X=X)
    for layer, before, after in zip(result.layers, model.biases, result.model.biases, strict=True):
        assert layer.bias_codes.dtype == (np.int8 if bits <= 8 else np.int16)
        np.testing.assert_array_equal(after, layer.bias_codes * layer.bias_scale)
        # The scale that clips nothing is one of those tried: half of its step is the largest error then.
        assert np.sum((after - before) ** 2) <= before.size * (abs(before).max() / (2 ** (bits - 1) - 1) / 2) ** 2
        assert layer.bias_error == pytest.approx(np.sum((after - before) ** 2) / np.sum(before**2))
    assert all(map(np.array_equal, result.model.weights, free.model.weights))
    assert all(map(np.array_equal, free.model.biases, model.biases))
    assert f"8 bits, {bits} for biases" in repr(result)
    SparseNetwork.of(model).save(tmp_path / "file", bits=8, bias_bits=bits)
    np.testing.assert_allclose(SparseNetwork.load(tmp_path / "file").outputs(X), result.model.outputs(X), rtol=1e-12)
    with pytest.raises(ValueError, match="bits is 17"):
        quantised(model, bias_bits=17)


def test_a_layer_without_a_bias_has_none_to_round():
    (layer,) = quantised([np.eye(3)], bias_bits=8).layers
    assert layer.bias_codes is None
    assert layer.bias_error == 0


def test_a_weight_within_half_a_step_of_its_code():
    """With 8 bits the error is at most that of rounding without clipping: a twelfth of a step squared, roughly."""
    model = network()
    result = quantised(model, bits=8)
    for layer, weight in zip(result.layers, model.weights, strict=True):
        step = abs(weight).max(axis=0) / 127
        bound = np.sum(step**2) / 4 * len(weight)
        assert layer.error * np.sum(weight**2) <= bound


def test_whole_numbers_are_exact_and_zeros_harmless():
    weight = np.array([[3.0, 0.0], [-127.0, 0.0], [64.0, 0.0]])
    result = quantised([weight], bits=8)
    np.testing.assert_array_equal(result.model.weights[0], weight)
    assert result.layers[0].error == 0


@pytest.mark.parametrize("bits", [1, 17, 7.5])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(ValueError, match="bits"):
        quantised(network(), bits=bits)


def test_a_clock_that_leaps_is_no_division_by_zero(monkeypatch):
    model = network(dtype=np.float32)
    monkeypatch.setattr(time, "process_time", itertools.count(0.0, 0.01).__next__)
    assert size_report(model, None, X, seconds=0.001).forms[0].seconds_one == pytest.approx(0.01)


def test_the_report_counts_what_is_stored_and_multiplied():
    model = network(dtype=np.float32)
    mask = prune(model, X, sparsity=0.9, method=Magnitude()).mask
    report = size_report(model, mask, X, seconds=0.001)
    masked, shrunk, sparse = report.forms
    assert (report.kept, report.total, report.samples) == (18, 180, 400)
    assert masked.weights == masked.multiply_adds == 180
    assert masked.nbytes == 4 * (180 + 18)
    assert masked.int8_nbytes == 180 + 4 * (18 + 18)
    assert shrunk.weights < 180
    assert sparse.weights == sparse.multiply_adds == 18
    assert sparse.nbytes == SparseNetwork.of(model, mask).nbytes == 18 * (4 + 4) + (18 + 3) * 4 + 18 * 4
    assert sparse.int8_nbytes == sparse.nbytes - 3 * 18 + 4 * 18
    assert all(form.seconds_one > 0 and form.seconds_all > 0 for form in report.forms)
    assert report["sparse"] is sparse
    text = str(report)
    assert "18 of 180 weights kept" in text
    assert "400 samples" in text


def test_the_report_says_where_there_is_no_gain():
    report = size_report(network(dtype=np.float32))
    assert report.notes == (
        "shrunk: no neuron is dead, the dense model stays as it is.",
        "sparse: not smaller, places cost bytes too.",
    )
    assert np.isnan(report["sparse"].seconds_all)
    assert "us" not in str(report)


def test_the_report_on_modules_counts_places_and_names_what_is_left():
    torch = pytest.importorskip("torch")
    from torch import nn

    from sparseopt.adapters.torch import TorchNetwork

    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    images = torch.randn(5, 1, 4, 4)
    report = size_report(module, None, images, seconds=0.001)
    masked, shrunk = report.forms
    assert masked.weights == shrunk.weights == 18 + 16
    assert masked.multiply_adds == 18 * 4 + 16
    assert report.notes[0].startswith("not sparse: '1' (Flatten)")
    left = size_report(TorchNetwork(module, only=["2"]))
    assert left.notes[0] == "left as it is: 0.weight (not chosen)"
    chain = nn.Sequential(nn.Linear(8, 6), nn.LeakyReLU(), nn.Linear(6, 2), nn.Softmax(1))
    samples = torch.randn(30, 8)
    mask = prune(chain, samples, sparsity=0.5).mask
    masked = mask.apply(chain)
    np.testing.assert_allclose(SparseNetwork.of(masked).outputs(samples), masked(samples).detach(), atol=1e-6)
    assert len(size_report(chain, mask, samples, seconds=0.001).forms) == 3
