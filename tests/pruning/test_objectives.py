"""Laws of objectives: slopes by differences, what they call right, and what they refuse."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from sparseopt.pruning import Distillation, Labels, Link, Mixed, NumpyMLP

RNG = np.random.default_rng(0)
OUTPUTS = 3 * RNG.standard_normal((7, 3))
NETWORK = {link: NumpyMLP([RNG.standard_normal((4, 3))], link=link) for link in Link}
X = RNG.standard_normal((7, 4))
LABELS = {
    Link.SOFTMAX: Labels.of(Link.SOFTMAX, RNG.integers(0, 3, 7)),
    Link.LOGISTIC: Labels.of(Link.LOGISTIC, RNG.integers(0, 2, (7, 3))),
    Link.IDENTITY: Labels.of(Link.IDENTITY, RNG.standard_normal((7, 3))),
}
OBJECTIVES = [
    *LABELS.values(),
    *(Distillation.of(network, X) for network in NETWORK.values()),
    *(Distillation.of(network, X, temperature=2.5) for network in NETWORK.values()),
    *(Mixed(LABELS[link], Distillation.of(NETWORK[link], X), 0.3) for link in Link),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_seeds_are_the_slopes_of_the_value(objective):
    _, seeds = objective.value_and_seeds(OUTPUTS)
    h = 1e-6
    for place in np.ndindex(OUTPUTS.shape):
        step = np.zeros(OUTPUTS.shape)
        step[place] = h
        above, below = (objective.value_and_seeds(OUTPUTS + sign * step)[0] for sign in (1, -1))
        assert seeds[place] == pytest.approx((above - below) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_whole_is_the_mean_of_its_parts(objective):
    value, seeds = objective.value_and_seeds(OUTPUTS)
    parts = [objective[i : i + 1].value_and_seeds(OUTPUTS[i : i + 1]) for i in range(7)]
    assert value == pytest.approx(np.mean([part for part, _ in parts]))
    np.testing.assert_allclose(seeds, np.concatenate([slope for _, slope in parts]) / 7, atol=1e-15)


def test_the_value_is_the_formula():
    codes = LABELS[Link.SOFTMAX].targets
    expected = -log_softmax(OUTPUTS, axis=1)[np.arange(7), codes].mean()
    assert LABELS[Link.SOFTMAX].value_and_seeds(OUTPUTS)[0] == pytest.approx(expected)
    t, p = LABELS[Link.LOGISTIC].targets, expit(OUTPUTS)
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 7
    assert LABELS[Link.LOGISTIC].value_and_seeds(OUTPUTS)[0] == pytest.approx(expected)
    p, q = softmax(NETWORK[Link.SOFTMAX].outputs(X), axis=1), softmax(OUTPUTS, axis=1)
    divergence = np.sum(p * np.log(p / q)) / 7
    found = Distillation.of(NETWORK[Link.SOFTMAX], X).value_and_seeds(OUTPUTS)[0]
    assert found == pytest.approx(divergence)


@pytest.mark.parametrize("link", [Link.SOFTMAX, Link.LOGISTIC])
def test_at_a_temperature_outputs_are_divided_by_it(link):
    T = 2.5
    soft = NumpyMLP([weight / T for weight in NETWORK[link].weights], link=link)
    value, seeds = Distillation.of(NETWORK[link], X, T).value_and_seeds(OUTPUTS)
    expected, slopes = Distillation.of(soft, X).value_and_seeds(OUTPUTS / T)
    assert value == pytest.approx(T**2 * expected)
    np.testing.assert_allclose(seeds, T * slopes, atol=1e-14)


@pytest.mark.parametrize("temperature", [-1.0, np.inf, np.nan])
def test_a_wrong_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="give a positive number"):
        Distillation.of(NETWORK[Link.SOFTMAX], X, temperature)


def test_hot_divergence_is_that_of_squares():
    """Of numbers at every temperature; of classes in the limit, by the second order at even probabilities."""
    numbers = [Distillation.of(NETWORK[Link.IDENTITY], X, T).value_and_seeds(OUTPUTS)[0] for T in (1.0, 7.0)]
    assert numbers[0] == pytest.approx(numbers[1])
    error = OUTPUTS - NETWORK[Link.SOFTMAX].outputs(X)
    error -= error.mean(axis=1, keepdims=True)
    squares = 0.5 * np.mean(np.sum(error**2, axis=1)) / 3
    T = 1e4
    found = Distillation.of(NETWORK[Link.SOFTMAX], X, T).value_and_seeds(OUTPUTS)[0]
    # What is left out is of the third order: the largest output over T.
    assert found == pytest.approx(squares, rel=20 * np.abs(OUTPUTS).max() / T)


@pytest.mark.parametrize("link", Link)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_network_agrees_with_itself(link, temperature):
    outputs = NETWORK[link].outputs(X)
    objective = Distillation.of(NETWORK[link], X, temperature)
    value, seeds = objective.value_and_seeds(outputs)
    assert value == pytest.approx(0, abs=1e-12)
    assert np.abs(seeds).max() < 1e-15
    assert objective.quality(outputs) == 1
    assert objective.quality(-outputs) < 1


def test_extreme_outputs_are_finite_and_single_precision_stays():
    outputs = np.array([[1e4, -1e4, 0.0]] * 7, np.float32)
    for objective in OBJECTIVES:
        value, seeds = objective.value_and_seeds(outputs)
        assert np.isfinite(value)
        assert np.isfinite(seeds).all()
        assert seeds.dtype == np.float32


def test_labels_have_the_names_that_the_model_gives_them():
    classes = np.array(["setosa", "virginica", "versicolor"])
    labels = Labels.of(Link.SOFTMAX, ["versicolor", "setosa"], classes)
    assert labels.targets.tolist() == [2, 0]
    assert Labels.of(Link.LOGISTIC, ["no", "yes"], np.array(["no", "yes"])).targets.tolist() == [[0], [1]]
    assert Labels.of(Link.SOFTMAX, np.eye(3)[[2, 0]]).targets.tolist() == [2, 0]
    with pytest.raises(ValueError, match="'rose'"):
        Labels.of(Link.SOFTMAX, ["rose"], classes)


def test_quality_is_accuracy_or_r2():
    assert Labels.of(Link.SOFTMAX, [0, 1]).quality(np.array([[2.0, 1.0], [2.0, 1.0]])) == 0.5
    assert Labels.of(Link.LOGISTIC, [0, 1, 1]).quality(np.array([[-1.0], [2.0], [-3.0]])) == pytest.approx(2 / 3)
    y = RNG.standard_normal(9)
    assert Labels.of(Link.IDENTITY, y).quality(np.full((9, 1), y.mean())) == pytest.approx(0)
    constant = Labels.of(Link.IDENTITY, np.ones(3))
    assert constant.quality(np.ones((3, 1))) == 1
    assert constant.quality(np.zeros((3, 1))) == -np.inf


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: Labels.of(Link.SOFTMAX, ["a"]), "give finite numbers"),
        (lambda: Labels.of(Link.IDENTITY, [np.nan]), "give finite numbers"),
        (lambda: Labels.of(Link.LOGISTIC, [2]), "zeros and ones"),
        (lambda: Labels.of(Link.SOFTMAX, [0.5]), "whole numbers"),
        (lambda: Labels.of(Link.SOFTMAX, [-1]), "whole numbers"),
        (lambda: Labels.of(Link.SOFTMAX, [3]).value_and_seeds(np.ones((1, 3))), "count from 0"),
        (lambda: Labels.of(Link.SOFTMAX, [1, 2]).value_and_seeds(np.ones((1, 3))), "one target per sample"),
        (lambda: Labels.of(Link.IDENTITY, [1.0]).value_and_seeds(np.ones((1, 3))), "must agree"),
    ],
)
def test_labels_that_do_not_fit_are_refused(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
