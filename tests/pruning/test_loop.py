"""Stories of the loop: steps, training in between, stop rules, limits, and going on later."""

import itertools
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sparseopt.pruning import (
    SGD,
    Adam,
    Cubic,
    Exponential,
    FirstOrder,
    GradientDescent,
    Iterations,
    LayerwiseL0,
    Linear,
    Magnitude,
    NumpyMLP,
    PruningStatus,
    QualityLoss,
    Score,
    Scored,
    SparsityReached,
    StructuredMethod,
    prune,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 10))
NETWORK = NumpyMLP(
    [RNG.standard_normal(shape) for shape in ((10, 16), (16, 8), (8, 3))],
    [RNG.standard_normal(16), RNG.standard_normal(8), np.zeros(3)],
    link="softmax",
)
Y = NETWORK.predict(X).argmax(axis=1)
HELD_OUT = RNG.standard_normal((300, 10))
VALIDATION = HELD_OUT, NETWORK.predict(HELD_OUT).argmax(axis=1)
TRAINING = Adam(epochs=6, batch_size=32, learning_rate=0.01)


def zeros(pruned):
    return [step.sparsity for step in pruned.steps]


@pytest.mark.parametrize("schedule", [Linear(4), Cubic(4), Exponential(4)], ids=repr)
def test_each_step_is_as_sparse_as_its_schedule_says_and_keeps_what_the_one_before_kept(schedule):
    masks = []

    @dataclass(frozen=True)
    class Spy(Score):
        def __call__(self, stats):
            masks.append(stats.weight != 0)
            return np.abs(stats.weight)

    pruned = prune(NETWORK, X, Y, sparsity=0.9, method=Spy(), schedule=schedule, refit=TRAINING)
    np.testing.assert_allclose(zeros(pruned), schedule.levels(0.9), atol=1 / pruned.mask.total)
    masks.extend(pruned.mask.values())
    for before, after in itertools.pairwise(masks[i::3] for i in range(3)):
        assert len(before) == len(after) == 5
    for layer in range(3):
        for before, after in itertools.pairwise(masks[layer::3]):
            assert not (after & ~before).any()


def test_training_between_the_steps_or_after_them_helps():
    gradual, at_once, none = (
        prune(NETWORK, X, Y, sparsity=0.8, method=Magnitude(), validation=VALIDATION, **options).quality
        for options in ({"schedule": Cubic(6, held=2), "refit": TRAINING}, {"refit": TRAINING}, {})
    )
    assert min(gradual, at_once) > none + 0.1


def test_a_held_step_only_trains():
    scored = []

    @dataclass(frozen=True)
    class Spy(Score):
        def __call__(self, stats):
            scored.append(stats.name)
            return np.abs(stats.weight)

    pruned = prune(NETWORK, X, Y, sparsity=0.5, method=Spy(), schedule=Linear(2, held=3), refit=TRAINING)
    assert len(scored) == 2 * 3
    assert zeros(pruned)[1:] == [0.5] * 4
    assert len({step.loss for step in pruned.steps}) == 5


@pytest.mark.parametrize("refit", [TRAINING, SGD(epochs=2), GradientDescent(iterations=10), "layer"], ids=repr)
@pytest.mark.parametrize("y", [Y, None], ids=["labels", "distilled"])
def test_a_refit_helps_and_the_mask_holds(refit, y):
    plain, refitted = (
        prune(NETWORK, X, y, sparsity=0.7, method=Magnitude(), validation=HELD_OUT, refit=how) for how in (None, refit)
    )
    assert refitted.quality > plain.quality
    assert refitted.mask == plain.mask
    for name, layer in zip(refitted.mask, refitted.model.layers(), strict=True):
        assert not layer.weight[~refitted.mask[name]].any()


def test_labels_and_the_old_outputs_can_be_mixed():
    """Wrong labels mislead; the more weight the old outputs have, the less."""
    wrong = (Y + 1) % 3
    quality = [
        prune(NETWORK, X, wrong, sparsity=0.5, method=Magnitude(), validation=VALIDATION, refit=Adam(epochs=5, distil=d)).quality
        for d in (0.0, 0.7, 1.0)
    ]  # fmt: skip
    assert quality[0] < quality[1] < quality[2]


def test_the_quality_is_that_of_the_returned_model():
    pruned = prune(NETWORK, X, Y, sparsity=0.7, validation=VALIDATION)
    accuracy = np.mean(pruned.model.predict(VALIDATION[0]).argmax(axis=1) == VALIDATION[1])
    assert pruned.quality == pytest.approx(accuracy)
    assert pruned.dense_quality == 1
    assert pruned.status is PruningStatus.DONE


def test_a_loss_of_quality_ends_the_run_and_its_step_is_not_kept():
    options = {"sparsity": 0.95, "method": Magnitude(), "schedule": Linear(19), "validation": VALIDATION}
    pruned = prune(NETWORK, X, stop=QualityLoss(0.1), **options)
    assert pruned.status is PruningStatus.STOPPED
    assert "fell" in pruned.reason
    assert [step.accepted for step in pruned.steps] == [True] * (len(pruned.steps) - 1) + [False]
    assert pruned.quality >= 0.9 > pruned.steps[-1].quality
    assert pruned.mask.kept == pruned.steps[-2].kept
    # nothing is acceptable: the model is what it was
    none = prune(NETWORK, X, stop=QualityLoss(0.0), **options | {"sparsity": 0.99, "schedule": Linear(1)})
    assert none.mask.density == 1
    assert np.array_equal(none.model.weights[0], NETWORK.weights[0])
    assert none.quality == 1


@pytest.mark.parametrize("stop", [Iterations(3), SparsityReached(0.25), [SparsityReached(0.9), Iterations(3)]])
def test_a_run_ends_as_soon_as_a_rule_says(stop):
    pruned = prune(NETWORK, X, sparsity=0.9, method=Magnitude(), schedule=Linear(9), stop=stop)
    assert len(pruned.steps) == 3
    assert pruned.status is PruningStatus.STOPPED
    assert pruned.steps[-1].accepted


def test_of_equally_sparse_steps_the_best_is_kept():
    """Training on wrong labels makes the model worse from step to step."""
    options = {"sparsity": 0.5, "method": Magnitude(), "schedule": Linear(1, held=4), "validation": VALIDATION}
    training = SGD(epochs=5, learning_rate=0.1, cosine=False)
    best, last = (prune(NETWORK, X, (Y + 1) % 3, refit=training, keep_best=keep, **options) for keep in (True, False))
    qualities = [step.quality for step in best.steps]
    assert best.quality == max(qualities) > qualities[-1]
    assert last.quality == qualities[-1]
    assert qualities == [step.quality for step in last.steps]


def test_a_run_can_be_resumed():
    """Layer by layer without training nothing is lost: the second half is that of the whole run."""
    options = {"sparsity": 0.9, "method": Scored(Magnitude(), refit=True), "schedule": Exponential(6)}
    whole = prune(NETWORK, X, **options)
    half = prune(NETWORK, X, stop=Iterations(3), **options)
    resumed = prune(NETWORK, X, resume=pickle.loads(pickle.dumps(half)), **options)
    assert resumed.mask == whole.mask
    assert all(map(np.array_equal, resumed.model.weights, whole.model.weights))
    assert zeros(resumed) == zeros(whole)
    # and a further one, at another sparsity
    further = prune(NETWORK, X, resume=whole, **options | {"sparsity": 0.95, "schedule": Linear(2)})
    assert len(further.steps) == 7
    assert further.mask.kept == int(0.05 * 312)
    assert not any((further.mask[name] & ~whole.mask[name]).any() for name in whole.mask)
    done = prune(NETWORK, X, resume=whole, **options)
    assert done.mask == whole.mask
    assert done.quality == whole.quality


def test_a_time_limit_returns_the_best_by_then():
    options = {"sparsity": 0.9, "method": Magnitude(), "schedule": Linear(50), "refit": Adam(epochs=1000)}
    pruned = prune(NETWORK, X, Y, time_limit=0.2, **options)
    assert pruned.status is PruningStatus.TIME_LIMIT
    assert 1 <= len(pruned.steps) < 50
    assert pruned.mask.kept == pruned.steps[-1].kept


def test_out_of_time_in_the_first_step_the_layers_left_are_masked():
    pruned = prune(NETWORK, X, sparsity=0.9, time_limit=1e-9)
    assert pruned.mask.kept == int(0.1 * 312)
    for name, layer, old in zip(pruned.mask, pruned.model.layers(), NETWORK.layers(), strict=True):
        assert np.array_equal(layer.weight, np.where(pruned.mask[name], old.weight, 0))


class Impatient(Score):
    """Magnitude, but Ctrl-C comes in the third step."""

    def __init__(self, patience):
        self.calls, self.patience = 0, patience

    def __call__(self, stats):
        self.calls += 1
        if self.calls > 3 * self.patience:
            raise KeyboardInterrupt
        return np.abs(stats.weight)


def test_ctrl_c_returns_the_last_step_and_the_first_one_raises():
    pruned = prune(NETWORK, X, sparsity=0.9, method=Impatient(2), schedule=Linear(5))
    assert pruned.status is PruningStatus.INTERRUPTED
    assert len(pruned.steps) == 2
    assert pruned.mask.kept == pruned.steps[-1].kept
    assert "INTERRUPTED" in repr(pruned)
    with pytest.raises(KeyboardInterrupt):
        prune(NETWORK, X, sparsity=0.9, method=Impatient(0))


def test_layers_that_were_not_chosen_stay_as_they_were():
    pruned = prune(NETWORK, X, Y, sparsity=0.5, layers=["weights_1"], method=Magnitude())
    assert list(pruned.mask) == ["weights_1"]
    assert pruned.mask.kept == 64
    assert [layer.name for layer in pruned.layers] == ["weights_1"]
    assert np.array_equal(pruned.model.weights[0], NETWORK.weights[0])
    assert "weights_0, weights_2" in pruned.notes[0]
    assert prune(NETWORK, X, sparsity=0.5, layers="weights_1", method=Magnitude()).mask == pruned.mask


def test_in_place_the_given_model_changes_and_otherwise_it_does_not():
    with pytest.warns(UserWarning, match="converge"):
        model = MLPClassifier((8,), max_iter=20, random_state=0).fit(X, Y)
    before = [weight.copy() for weight in model.coefs_]
    pruned = prune(model, X, Y, sparsity=0.5, method=Magnitude())
    assert all(map(np.array_equal, model.coefs_, before))
    lent = prune(model, X, Y, sparsity=0.5, method=Magnitude(), inplace=True)
    assert lent.model is model
    assert all(map(np.array_equal, model.coefs_, pruned.model.coefs_))
    with pytest.raises(TypeError, match="in place"):
        prune(NETWORK, X, sparsity=0.5, inplace=True)


def test_models_of_scikit_learn_train_on_labels_by_their_names():
    names = np.array(["a", "b", "c"])[Y]
    with pytest.warns(UserWarning, match="converge"):
        models = [MLPClassifier((8,), max_iter=30, random_state=0).fit(X, names)]
    models += [LogisticRegression().fit(X, names), LogisticRegression().fit(X, names == "a")]
    for model, y in zip(models, (names, names, names == "a"), strict=True):
        pruned = prune(model, X, y, sparsity=0.5, method=FirstOrder(), refit=TRAINING)
        assert pruned.dense_quality == pytest.approx(model.score(X, y))
        assert pruned.quality == pytest.approx(pruned.model.score(X, y))
    with pytest.warns(UserWarning, match="converge"):
        model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0).fit(X, X[:, 0])
    pruned = prune(model, X, X[:, 0], sparsity=0.5, refit=TRAINING)
    assert pruned.quality == pytest.approx(pruned.model.score(X, X[:, 0]))


def test_the_same_call_with_training_gives_the_same_bytes():
    first, second, other = (
        prune(NETWORK, X, Y, sparsity=0.8, schedule=Cubic(3), method=Magnitude(), refit=TRAINING, random_state=seed)
        for seed in (0, 0, 1)
    )
    assert first.model.weights[0].tobytes() == second.model.weights[0].tobytes()
    assert first.model.weights[0].tobytes() != other.model.weights[0].tobytes()


def test_a_structured_method_takes_the_whole_work():
    class Everything(StructuredMethod):
        def prune(self, model, X, y, *, sparsity, validation, random_state, clock, progress):
            return model, sparsity

    assert prune("any model", X, sparsity=0.5, method=Everything()) == ("any model", 0.5)
    with pytest.raises(ValueError, match="takes no stop or scope"):
        prune("any model", X, sparsity=0.5, method=Everything(), stop=Iterations(3), scope="layer")


def test_a_method_may_bring_proofs():
    class Proving(LayerwiseL0):
        def certificate(self, layer, kept, inputs, targets):
            return {"lower": 0.0, "value": float(np.mean((layer(inputs) - targets) ** 2))}

    pruned = prune(NETWORK, X, sparsity=0.5, method=Proving())
    assert list(pruned.certificates) == ["weights_0", "weights_1", "weights_2"]
    assert prune(NETWORK, X, sparsity=0.5).certificates == {}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "give one of sparsity"),
        ({"sparsity": 0.5, "threshold": 0.1}, ValueError, "give one of sparsity"),
        ({"threshold": np.nan}, ValueError, "threshold"),
        ({"threshold": 0.1, "schedule": Exponential(3)}, ValueError, "Linear or Cubic"),
        ({"sparsity": 0.5, "layers": ["weights_7"]}, ValueError, "no layer 'weights_7'; its layers are weights_0"),
        ({"sparsity": 0.5, "layers": []}, ValueError, "its layers are"),
        ({"sparsity": 0.5, "method": "magnitude"}, TypeError, "a Method or a Score"),
        ({"sparsity": 0.5, "schedule": "cubic"}, TypeError, "OneShot"),
        ({"sparsity": 0.5, "refit": "all"}, TypeError, "Adam"),
        ({"sparsity": 0.5, "stop": "soon"}, TypeError, "Iterations"),
        ({"sparsity": 0.5, "time_limit": 0}, ValueError, "positive"),
        ({"pattern": (2, 4)}, TypeError, "NofM"),
        ({"sparsity": 0.5, "calibration": 0}, ValueError, "how many samples"),
        ({"sparsity": 0.5, "y": Y + 1}, ValueError, "count from 0"),
        ({"sparsity": 0.5, "validation": (HELD_OUT, Y)}, ValueError, "one target per sample"),
        ({"sparsity": 0.5, "validation": HELD_OUT[:, :4]}, ValueError, "10 columns"),
        ({"sparsity": 0.5, "resume": prune([np.eye(10)], X, sparsity=0.5)}, ValueError, "another model"),
    ],
)
def test_wrong_options_are_told_at_the_door(options, error, message):
    with pytest.raises(error, match=message):
        prune(NETWORK, X, **options)


def test_scores_and_fits_look_at_the_calibration_samples_and_training_at_all():
    seen = []

    class Spy(Score):
        def __call__(self, stats):
            seen.append(len(stats.inputs))
            return np.abs(stats.weight)

    options = {"sparsity": 0.5, "method": Spy(), "refit": Adam(epochs=1)}
    few = prune(NETWORK, X, Y, calibration=100, **options)
    assert seen == [100] * 3
    # Of equal masks, the training is the same.
    everything = prune(NETWORK, X, Y, **options)
    assert seen[3:] == [600] * 3
    assert all(map(np.array_equal, few.model.weights, everything.model.weights))
    assert prune(NETWORK, X, Y, calibration=1000, sparsity=0.5).mask == prune(NETWORK, X, Y, sparsity=0.5).mask


def test_activations_that_overflow_are_told_at_the_door():
    network = NumpyMLP([np.full((2, 3), 1e200), np.array([[1e200], [-1e200], [1.0]])])
    with pytest.raises(ValueError, match="1 of 3 samples, the first of them 1"):
        prune(network, np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]]), sparsity=0.5)
