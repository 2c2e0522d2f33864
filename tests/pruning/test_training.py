"""Training: the steps are the textbook's, the objective falls, and no pruned weight comes back."""

import numpy as np
import pytest

from sparseopt.pruning import (
    SGD,
    Adam,
    Clock,
    Distillation,
    GradientDescent,
    Labels,
    Link,
    NumpyMLP,
    gradients,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 6))
TEACHER = NumpyMLP(
    [RNG.standard_normal((6, 8)), RNG.standard_normal((8, 3))], [RNG.standard_normal(8), np.zeros(3)], link="softmax"
)
KEPT = [RNG.random((6, 8)) < 0.5, RNG.random((8, 3)) < 0.5]
WRONG = [np.where(keep, weight, 0) + 0.0 for keep, weight in zip(KEPT, TEACHER.weights, strict=True)]
START = NumpyMLP(WRONG, TEACHER.biases, link="softmax")
TRAININGS = [
    SGD(epochs=5, learning_rate=0.1, weight_decay=0.01),
    Adam(epochs=5, learning_rate=0.01, weight_decay=0.01),
    Adam(epochs=0.3, batch_size=1000, cosine=False),
    GradientDescent(iterations=20),
]  # fmt: skip


@pytest.mark.parametrize("training", TRAININGS, ids=repr)
@pytest.mark.parametrize("has_labels", [True, False])
def test_the_objective_falls_and_nothing_is_revived(training, has_labels):
    y = TEACHER.predict(X).argmax(axis=1)
    objective = Labels.of(Link.SOFTMAX, y) if has_labels else Distillation.of(TEACHER, X)
    before = [weight.copy() for weight in START.weights]
    fitted = training.fit(START, KEPT, X, objective, rng=np.random.default_rng(0))
    values = [objective.value_and_seeds(network.outputs(X))[0] for network in (START, fitted)]
    assert values[1] < values[0]
    for layer, keep in zip(fitted.layers(), KEPT, strict=True):
        assert not layer.weight[~keep].any()
        assert np.isfinite(layer.bias).all()
    assert all(map(np.array_equal, before, START.weights))


def test_gradients_are_those_of_the_loss():
    objective = Distillation.of(TEACHER, X)
    _, seeds = objective.value_and_seeds(START.outputs(X))
    h = 1e-6
    for i, (weight, bias) in enumerate(gradients(START, X, seeds)):
        for place, array in (((1, 2), weight), ((1,), bias)):
            values = []
            for sign in (1, -1):
                weights, biases = [w.copy() for w in START.weights], [b.copy() for b in START.biases]
                (weights if len(place) == 2 else biases)[i][place] += sign * h
                moved = NumpyMLP(weights, biases, link="softmax")
                values.append(objective.value_and_seeds(moved.outputs(X))[0])
            assert array[place] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-7)


def full_batch(**knobs):
    return {"epochs": 3, "batch_size": 200, "cosine": False, **knobs}


def by_hand(rule, rate, decay):
    """Three steps on all samples, on one array of the first layer."""
    network, weights = START, [w.copy() for w in START.weights]
    state = [{} for _ in weights]
    objective = Distillation.of(TEACHER, X)
    biases = [b.copy() for b in START.biases]
    bias_state = [{} for _ in biases]
    for t in (1, 2, 3):
        network = NumpyMLP(weights, biases, link="softmax")
        _, seeds = objective.value_and_seeds(network.outputs(X))
        for i, (weight, bias) in enumerate(gradients(network, X, seeds)):
            move = rule(weight * KEPT[i], state[i], t) + decay * weights[i]
            weights[i] = weights[i] - rate * move
            biases[i] = biases[i] - rate * rule(bias, bias_state[i], t)
    return weights, biases


def momentum(gradient, state, t):
    state["v"] = 0.9 * state.get("v", 0) + gradient
    return state["v"]


def adam(gradient, state, t):
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * gradient
    state["s"] = 0.999 * state.get("s", 0) + 0.001 * gradient**2
    return state["m"] / (1 - 0.9**t) / (np.sqrt(state["s"] / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize(
    ("training", "rule"),
    [
        (SGD(**full_batch(learning_rate=0.1, weight_decay=0.02)), momentum),
        (Adam(**full_batch(learning_rate=0.1, weight_decay=0.02)), adam),
    ],
    ids=["SGD", "Adam"],
)
def test_steps_are_those_of_the_textbook(training, rule):
    fitted = training.fit(START, KEPT, X, Distillation.of(TEACHER, X))
    weights, biases = by_hand(rule, 0.1, 0.02)
    for found, expected in zip((*fitted.weights, *fitted.biases), (*weights, *biases), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("training", TRAININGS[:2], ids=repr)
def test_a_weight_pruned_between_two_parts_leaves_no_momentum(training):
    session = training.session(
        START, X, Distillation.of(TEACHER, X), rng=np.random.default_rng(0), clock=Clock(), steps=2
    )
    half = session.advance(START, KEPT)
    fewer = [keep & (RNG.random(keep.shape) < 0.5) for keep in KEPT]
    done = session.advance(half, fewer)
    assert any((layer.weight[keep] != 0).all() for layer, keep in zip(half.layers(), KEPT, strict=True))
    for layer, keep in zip(done.layers(), fewer, strict=True):
        assert not layer.weight[~keep].any()
        assert not np.signbit(layer.weight[~keep]).any()


def test_parts_share_the_epochs():
    """Two parts of one epoch are one of two: the same batches, the same rates."""
    training, objective = Adam(epochs=2), Distillation.of(TEACHER, X)
    whole = training.fit(START, KEPT, X, objective, rng=np.random.default_rng(0))
    session = training.session(START, X, objective, rng=np.random.default_rng(0), clock=Clock(), steps=2)
    parts = session.advance(session.advance(START, KEPT), KEPT)
    assert all(map(np.array_equal, whole.weights, parts.weights))


@pytest.mark.parametrize("training", TRAININGS, ids=repr)
def test_an_expired_clock_ends_the_training(training):
    fitted = training.fit(START, KEPT, X, Distillation.of(TEACHER, X), clock=Clock(limit=-1.0))
    assert sum(np.abs(a - b).max() for a, b in zip(fitted.weights, START.weights, strict=True)) < 0.2


def test_single_precision_stays_and_a_network_without_biases_has_none():
    network = NumpyMLP([weight.astype(np.float32) for weight in WRONG])
    rows = X.astype(np.float32)
    for training in TRAININGS:
        fitted = training.fit(network, KEPT, rows, Distillation.of(network, rows))
        assert fitted.biases is None
        assert {weight.dtype for weight in fitted.weights} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Adam(epochs=0),
        lambda: Adam(batch_size=0),
        lambda: Adam(learning_rate=-1),
        lambda: Adam(weight_decay=-1),
        lambda: Adam(distil=2),
        lambda: Adam(beta1=1),
        lambda: SGD(momentum=1),
        lambda: GradientDescent(iterations=0),
        lambda: GradientDescent(learning_rate=0),
        lambda: GradientDescent(distil=-1),
    ],
)
def test_wrong_knobs_of_training_are_told_at_the_door(mistake):
    with pytest.raises(ValueError, match="give"):
        mistake()
