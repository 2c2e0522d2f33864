"""Pictures show the numbers that they were given."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt

import sparseopt as so
from sparseopt import plotting
from sparseopt.pruning import Linear, Magnitude, NumpyMLP, QualityLoss, Wanda, prune_cv

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 12))
Y = X[:, :3] @ [2.0, -1.0, 1.5] + 0.1 * RNG.standard_normal(40)
LOSS = so.LeastSquares(X, Y)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("rule", [so.L1, lambda alpha: so.Ridged(so.L1(alpha), 0.1)], ids=["L1", "Ridged"])
def test_a_path_draws_each_coefficient_against_alpha(rule):
    alphas = so.alpha_max(LOSS) * np.geomspace(1, 0.01, 8)
    path = so.path(so.Problem(LOSS), [rule(alpha) for alpha in alphas])
    axes = plotting.plot_path(path, names=[f"x{j}" for j in range(12)], labels=3)
    drawn = {line.get_label(): line for line in axes.get_lines()}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["x0", "x2", "x1"]
    np.testing.assert_allclose(drawn["x0"].get_xdata(), alphas)
    np.testing.assert_allclose(drawn["x0"].get_ydata(), path.w[:, 0])
    assert axes.get_xscale() == "log"


def test_a_path_of_several_responses_draws_each_coefficient_of_the_matrix():
    loss = so.LeastSquares(X, np.column_stack([Y, X[:, 3] - Y]))
    path = so.path(so.Problem(loss), [so.GroupLasso(alpha, 2) for alpha in (1.0, 0.3, 0.1)])
    axes = plotting.plot_path(path, names=[f"x{j}" for j in range(12)], labels=2)
    assert len(axes.get_lines()) == np.count_nonzero(path.w.any(axis=0)) + 1
    drawn = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_array_equal(drawn["x0, output 1"].get_ydata(), path.w[:, 0, 1])


def test_a_path_without_any_price_has_no_logarithmic_axis():
    loss = so.LeastSquares(X, np.zeros(40))
    path = so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 3)])
    assert plotting.plot_path(path).get_xscale() == "linear"


def test_a_path_without_alphas_says_what_it_needs():
    path = so.path(so.Problem(LOSS), [so.Zero()])
    with pytest.raises(ValueError, match="neither alpha nor k"):
        plotting.plot_path(path)


def test_a_path_of_constraints_is_drawn_against_k():
    path = so.path(so.Problem(LOSS), [so.Cardinality(k) for k in (1, 2, 3)])
    axes = plotting.plot_path(path)
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), [1, 2, 3])
    assert axes.get_xscale() == "linear"


def test_cross_validation_draws_the_mean_and_the_two_choices():
    found = so.cross_validate(so.Problem(LOSS), [so.L1(alpha) for alpha in so.alpha_grid(LOSS, 8)], 4)
    axes = plotting.plot_cross_validation(found)
    mean, best, simple = axes.get_lines()
    np.testing.assert_allclose(mean.get_ydata(), found.mean)
    assert best.get_xdata()[0] == found.best_penalty.alpha
    assert simple.get_xdata()[0] == found.one_standard_error_penalty.alpha
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx((found.mean + found.standard_error).max())


def test_stability_draws_the_stable_columns_and_the_threshold():
    found = so.stability_selection(so.Problem(LOSS), [so.L1(alpha) for alpha in so.alpha_grid(LOSS, 4, 0.3)], pairs=4)
    axes = plotting.plot_stability(found, names=[f"x{j}" for j in range(12)])
    assert sorted(text.get_text() for text in axes.get_legend().get_texts()) == [f"x{j}" for j in found.support]
    drawn = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(drawn["x0"].get_ydata(), found.probabilities[:, 0])
    assert any(np.allclose(line.get_ydata(), found.threshold) for line in axes.get_lines())


def test_convergence_draws_the_distance_to_the_bound():
    solution = so.solve(so.Problem(LOSS, so.L1(0.1)), so.ProximalGradient(), tol=1e-10, trace=True)
    axes = plotting.plot_convergence(solution)
    gap, residual = axes.get_lines()
    assert gap.get_ydata()[0] >= gap.get_ydata()[-1] > 0
    assert len(residual.get_xdata()) > 0
    assert axes.get_yscale() == "log"


def test_bounds_draw_the_best_so_far_and_what_is_proven():
    solution = so.solve(so.Problem(LOSS, so.L1(0.1)), so.ProximalGradient(), tol=1e-10, trace=True)
    axes = plotting.plot_bounds(solution)
    best, bound = axes.get_lines()
    assert best.get_ydata()[-1] == solution.certificate.objective
    assert bound.get_ydata()[-1] == solution.certificate.lower_bound
    assert np.all(bound.get_ydata() <= best.get_ydata()[-len(bound.get_ydata()) :])
    with pytest.raises(ValueError, match="trace=True"):
        plotting.plot_bounds(so.solve(so.Problem(LOSS, so.L1(0.1))))
    unproven = so.solve(so.Problem(LOSS, constraint=so.Cardinality(2)), so.HardThresholding(), trace=True)
    with pytest.raises(ValueError, match="nothing was proven"):
        plotting.plot_bounds(unproven)


def test_a_path_over_k_in_a_box_is_drawn_against_k():
    path = so.path(so.Problem(LOSS), [so.Cardinality(k) for k in (1, 2)])
    inside = so.Path(path.solutions, tuple(so.Intersection(so.Box(-9.0, 9.0), term) for term in path.terms))
    np.testing.assert_array_equal(plotting.plot_path(inside).get_lines()[0].get_xdata(), [1, 2])


def test_convergence_needs_a_trace():
    solution = so.solve(so.Problem(LOSS, so.L1(0.1)))
    with pytest.raises(ValueError, match="trace=True"):
        plotting.plot_convergence(solution)


def test_the_mask_of_a_convolution_is_drawn_by_outputs():
    kept = np.arange(24).reshape(3, 2, 2, 2) % 3 == 0
    (image,) = plotting.plot_mask(so.Mask({"conv": kept})).axes[0].images
    np.testing.assert_array_equal(image.get_array(), kept.reshape(3, 8))


def test_a_mask_has_a_panel_for_each_weight():
    mask = so.Mask({"first": RNG.random((8, 4)) < 0.5, "second": np.array([True, False, True])})
    figure = plotting.plot_mask(mask)
    first, second = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), mask["first"])
    np.testing.assert_array_equal(second.images[0].get_array(), [mask["second"]])
    assert second.get_title() == "second: 67% kept"


def test_a_picture_can_be_drawn_into_given_axes():
    _, axes = plt.subplots()
    path = so.path(so.Problem(LOSS), [so.L1(0.5), so.L1(0.1)])
    assert plotting.plot_path(path, axes=axes) is axes


def test_a_pruning_run_draws_quality_and_sparsity_of_each_step():
    network = NumpyMLP([RNG.standard_normal((12, 6)), RNG.standard_normal((6, 2))])
    pruned = so.prune(network, X, sparsity=0.9, method=Magnitude(), schedule=Linear(6), stop=QualityLoss(0.3))
    axes = plotting.plot_pruning(pruned)
    quality = axes.get_lines()[0].get_ydata()
    assert quality.tolist() == [1.0, *(step.quality for step in pruned.steps)]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"quality", "not accepted", "before pruning"}
    whole = so.prune(network, X, sparsity=0.5)
    with pytest.raises(ValueError, match="no steps"):
        plotting.plot_pruning(replace(whole, steps=()))


def test_curves_of_quality_against_sparsity():
    network = NumpyMLP([RNG.standard_normal((12, 6)), RNG.standard_normal((6, 2))])
    runs = {
        str(method): [so.prune(network, X, sparsity=sparsity, method=method) for sparsity in (0.8, 0.25, 0.5)]
        for method in (Magnitude(), Wanda())
    }
    axes = plotting.plot_sparsities(runs)
    assert [line.get_label() for line in axes.get_lines()] == list(runs)
    first = axes.get_lines()[0]
    np.testing.assert_allclose(first.get_xdata(), [0.25, 0.5, 0.8], atol=0.01)
    assert first.get_ydata().tolist() == [run.quality for run in (runs[str(Magnitude())][i] for i in (1, 2, 0))]
    own = plotting.plot_sparsities(runs, quality=lambda model: float(np.count_nonzero(model.weights[0])))
    assert own.get_lines()[0].get_ydata()[0] > own.get_lines()[0].get_ydata()[2]


def test_a_cross_validated_sparsity_draws_its_choice():
    found = prune_cv(NumpyMLP([RNG.standard_normal((12, 2))]), X, sparsities=(0.25, 0.5, 0.75))
    axes = plotting.plot_sparsities(found)
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), found.mean)
    assert any("chosen: sparsity" in text.get_text() for text in axes.get_legend().get_texts())
