"""Estimators pass scikit-learn's own checks, and agree with its models where they state the same problem."""

import pickle
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sparseopt as so
from sparseopt.adapters import sklearn as ours

ESTIMATORS = [
    ours.SparseRegressor(),
    ours.Lasso(),
    ours.ElasticNet(),
    ours.MCPRegressor(),
    ours.SCADRegressor(),
    ours.GroupLasso(),
    ours.L0Regressor(),
    ours.L0Classifier(),
    ours.L0Classifier(alpha=1e-3),
    ours.SparseClassifier(),
    ours.SparseLogisticRegression(),
    ours.SparseRegressorCV(alphas=4, cv=3, tol=1e-10),
    ours.SparseClassifierCV(alphas=5, cv=3),
]
RNG = np.random.default_rng(3)
X = RNG.standard_normal((60, 8)) + 1.0
Y = X[:, 0] - 2.0 * X[:, 3] + 0.5 * RNG.standard_normal(60) + 3.0
WEIGHTS = RNG.random(60) + 0.1
LABELS = np.where(Y + RNG.standard_normal(60) > 2.0, "yes", "no")
THREE = np.digitize(Y, [0.5, 3.0])


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (ours.Lasso(0.1), linear_model.Lasso(0.1, tol=1e-12)),
        (ours.Lasso(0.1, fit_intercept=False), linear_model.Lasso(0.1, fit_intercept=False, tol=1e-12)),
        (ours.Lasso(0.1, positive=True), linear_model.Lasso(0.1, positive=True, tol=1e-12)),
        (ours.ElasticNet(0.2, l1_ratio=0.3), linear_model.ElasticNet(0.2, l1_ratio=0.3, tol=1e-12)),
        (
            ours.SparseRegressor(penalty=so.Ridged(so.Zero(), 0.5)),
            linear_model.ElasticNet(0.5, l1_ratio=0.0, tol=1e-12, max_iter=100_000),
        ),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Coordinate descent without L1:UserWarning")
@pytest.mark.filterwarnings("ignore:Objective did not converge:sklearn.exceptions.ConvergenceWarning")
def test_the_same_problem_has_the_same_answer(mine, theirs, weights):
    mine, theirs = clone(mine).set_params(tol=1e-12).fit(X, Y, weights), theirs.fit(X, Y, weights)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-6)
    assert mine.intercept_ == pytest.approx(theirs.intercept_, abs=1e-6)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), atol=1e-5)
    assert mine.score(X, Y) == pytest.approx(theirs.score(X, Y), abs=1e-6)
    assert mine.certificate_.relative_gap <= 1e-10


def test_a_group_of_outputs_is_a_task_lasso():
    Z = np.column_stack([Y, X[:, 1] - Y])
    mine = ours.GroupLasso(0.3, tol=1e-12).fit(X, Z)
    theirs = linear_model.MultiTaskLasso(0.3, tol=1e-12).fit(X, Z)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), atol=1e-5)


def test_groups_enter_and_leave_together():
    fitted = ours.GroupLasso(0.5, groups=[0, 0, 1, 1, 2, 2, 3, 3]).fit(X, Y)
    kept = fitted.coef_.reshape(4, 2) != 0.0
    assert kept.all(axis=1).tolist() == kept.any(axis=1).tolist() == [True, True, False, False]


@pytest.mark.parametrize("ratio", [1.0, 0.4])
def test_logistic_regression_is_that_of_scikit_learn(ratio):
    mine = ours.SparseLogisticRegression(0.02, l1_ratio=ratio, tol=1e-12).fit(X, LABELS, WEIGHTS)
    # its penalty stands beside the sum over samples, and weights are not normalised
    C = 1.0 / (0.02 * WEIGHTS.sum())
    theirs = linear_model.LogisticRegression(C=C, l1_ratio=ratio, solver="saga", tol=1e-10, max_iter=200_000)
    theirs.fit(X, LABELS, WEIGHTS)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, atol=1e-5)
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    assert mine.classes_.tolist() == ["no", "yes"]
    assert mine.predict(X).tolist() == theirs.predict(X).tolist()


def test_more_classes_are_multinomial():
    mine = ours.SparseLogisticRegression(0.02, l1_ratio=0.5, tol=1e-12).fit(X, THREE)
    theirs = linear_model.LogisticRegression(
        C=1.0 / (0.02 * 60), l1_ratio=0.5, solver="saga", tol=1e-10, max_iter=200_000
    ).fit(X, THREE)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(np.exp(mine.predict_log_proba(X)), mine.predict_proba(X))
    assert mine.decision_function(X).shape == (60, 3)


def test_the_choice_is_that_of_lasso_cv():
    theirs = linear_model.LassoCV(alphas=20, eps=1e-2, cv=KFold(5), tol=1e-12, max_iter=100_000).fit(X, Y)
    mine = ours.SparseRegressorCV(alphas=20, eps=1e-2, cv=KFold(5), tol=1e-12).fit(X, Y)
    np.testing.assert_allclose(mine.alphas_, theirs.alphas_)
    assert mine.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(mine.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(2.0 * mine.cross_validation_.errors.T, theirs.mse_path_, rtol=1e-6)


def test_the_choice_may_be_the_simplest_good_one():
    folds = list(StratifiedKFold(4).split(X, LABELS))
    best, simple = (
        ours.SparseClassifierCV(alphas=[0.01, 0.1, 0.03], cv=folds, one_standard_error=rule, n_jobs=-1).fit(X, LABELS)
        for rule in (False, True)
    )
    assert best.alphas_.tolist() == [0.1, 0.03, 0.01]
    assert simple.alpha_ >= best.alpha_
    assert best.alpha_ == best.cross_validation_.best_penalty.alpha
    assert simple.alpha_ == simple.cross_validation_.one_standard_error_penalty.alpha
    np.testing.assert_array_equal(simple.coef_[0], simple.cross_validation_.one_standard_error_solution.w)


def test_models_work_in_pipelines_and_searches_and_survive_pickling():
    grid = {"lasso__alpha": [0.3, 0.1, 0.01]}
    search = GridSearchCV(make_pipeline(StandardScaler(), ours.Lasso()), grid, cv=3).fit(X, Y)
    assert search.best_params_["lasso__alpha"] < 0.3
    penalties = {"penalty": [so.L1(0.5), so.MCP(0.5), so.SCAD(0.5)]}
    assert not isinstance(GridSearchCV(ours.SparseRegressor(), penalties).fit(X, Y).best_params_["penalty"], so.L1)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert again.best_estimator_[-1].certificate_.objective == search.best_estimator_[-1].certificate_.objective


def test_names_of_a_frame_reach_the_solution():
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    fitted = ours.Lasso(0.3).fit(frame, Y)
    assert fitted.feature_names_in_.tolist() == list("abcdefgh")
    assert set(fitted.solution_.support_names) >= {"a", "d"}
    assert fitted.n_features_in_ == 8


def test_sparse_and_single_precision_data_are_taken_as_they_are():
    thin = np.where(np.abs(X) > 1.0, X, 0.0)
    dense = ours.Lasso(0.1, tol=1e-12).fit(thin, Y)
    for kind in (sparse.csr_array, sparse.csc_matrix):
        fitted = ours.Lasso(0.1, tol=1e-12).fit(kind(thin), Y)
        np.testing.assert_allclose(fitted.coef_, dense.coef_, atol=1e-8)
        np.testing.assert_allclose(fitted.predict(kind(thin)), dense.predict(thin), atol=1e-8)
    assert ours.Lasso(0.1).fit(thin.astype(np.float32), Y.astype(np.float32)).coef_.dtype == np.float32


def test_a_subset_has_as_many_columns_as_asked_for():
    assert np.flatnonzero(ours.L0Regressor(2).fit(X, Y).coef_).tolist() == [0, 3]
    assert np.count_nonzero(ours.L0Regressor().fit(X, Y).coef_) == 1
    priced = ours.L0Regressor(alpha=0.1, ridge=0.01).fit(X, Y)
    assert np.flatnonzero(priced.coef_).tolist() == [0, 3]
    constrained = ours.SparseRegressor(constraint=so.Cardinality(2)).fit(X, Y)
    np.testing.assert_allclose(constrained.coef_, ours.L0Regressor(2).fit(X, Y).coef_, atol=1e-6)


def test_a_classifier_has_as_many_columns_as_asked_for():
    for model in (ours.L0Classifier(2), ours.L0Classifier(alpha=0.02)):
        fitted = model.fit(X, LABELS)
        assert np.flatnonzero(fitted.coef_).tolist() == [0, 3]
        assert fitted.score(X, LABELS) > 0.7
    assert np.count_nonzero(ours.L0Classifier(4).fit(X, THREE).coef_) <= 4
    mask = so.Mask.of(ours.L0Classifier(2).fit(X, LABELS).solution_, "coef_")
    dense = linear_model.LogisticRegression().fit(X, LABELS)
    assert np.flatnonzero(mask.apply(dense).coef_).tolist() == [0, 3]


def test_any_loss_will_do():
    robust = ours.SparseRegressor(loss=partial(so.Huber, delta=0.5), penalty=so.L1(0.05)).fit(X, Y)
    direct = so.solve(so.Problem(so.Huber(X, Y, intercept=True, delta=0.5), so.L1(0.05)), tol=1e-8)
    np.testing.assert_allclose(robust.coef_, direct.w, atol=1e-6)
    counts = RNG.poisson(np.exp(0.3 * X[:, 0]))
    poisson = ours.SparseRegressor(loss=so.Poisson, penalty=so.L1(1e-3)).fit(X, counts)
    assert poisson.predict(X).min() > 0.0
    assert poisson.predict(X).mean() == pytest.approx(counts.mean(), rel=1e-3)
    machine = ours.SparseClassifier(loss=so.SquaredHinge, penalty=so.L1(0.01)).fit(X, LABELS)
    assert machine.score(X, LABELS) > 0.7
    assert not hasattr(machine, "predict_proba")
    with pytest.raises(ValueError, match="separates two classes, and y has 3"):
        machine.fit(X, THREE)


def test_a_class_without_weight_is_absent():
    weights = np.where(THREE == 1, 0.0, 1.0)
    fitted = ours.SparseClassifier().fit(X, THREE, weights)
    rows = THREE != 1
    alone = ours.SparseClassifier().fit(X[rows], THREE[rows])
    assert fitted.classes_.tolist() == [0, 2]
    np.testing.assert_allclose(fitted.coef_, alone.coef_, atol=1e-6)
    with pytest.raises(ValueError, match="needs samples of at least two classes with a positive weight"):
        fitted.fit(X, THREE, np.where(THREE == 1, 1.0, 0.0))


def test_balanced_weights_are_those_of_the_samples_that_count():
    rare = np.arange(60) % 6 == 0
    balanced = ours.SparseLogisticRegression(class_weight="balanced").fit(X, rare, WEIGHTS)
    mass = np.array([WEIGHTS[~rare].sum(), WEIGHTS[rare].sum()])
    by_hand = ours.SparseLogisticRegression().fit(X, rare, WEIGHTS / mass[rare.astype(int)])
    np.testing.assert_allclose(balanced.coef_, by_hand.coef_, atol=1e-6)


def test_a_limit_that_came_first_is_a_warning():
    shaped = X @ RNG.standard_normal((8, 8))
    with pytest.warns(ConvergenceWarning, match=r"Lasso: The iteration limit came first; .* relative gap"):
        fitted = ours.Lasso(1e-4, max_iter=1, tol=1e-14).fit(shaped, Y)
    assert fitted.solution_.status is so.Status.ITERATION_LIMIT


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (ours.Lasso(-1.0), ValueError, "alpha must be at least 0"),
        (ours.ElasticNet(l1_ratio=1.5), ValueError, r"l1_ratio must lie in \[0, 1\]"),
        (ours.ElasticNet(l1_ratio="all"), TypeError, "l1_ratio must be a real number"),
        (
            ours.SparseRegressor("huber"),
            TypeError,
            "loss must be a class or a function, for example Huber, got 'huber'",
        ),
        (ours.SparseRegressorCV("huber"), TypeError, "loss must be a class or a function"),
        (
            ours.SparseRegressorCV(penalty=so.L1(0.1)),
            TypeError,
            "penalty must be a class or a function, for example MCP",
        ),
        (ours.Lasso(fit_intercept="no"), TypeError, "intercept must be True or False"),
        (ours.Lasso(solver="saga"), TypeError, "solver must be a Solver instance"),
        (ours.GroupLasso(groups=3), ValueError, "group"),
    ],
    ids=repr,
)
def test_wrong_parameters_are_named_in_fit(estimator, error, message):
    with pytest.raises(error, match=message):
        estimator.fit(X, Y)


def test_a_classifier_names_a_loss_that_is_none():
    with pytest.raises(TypeError, match="loss must be a class or a function, for example SquaredHinge, got 'hinge'"):
        ours.SparseClassifier("hinge").fit(X, LABELS)


def test_sparseopt_alone_imports_no_scikit_learn(run):
    assert run("import sys, sparseopt; print('sklearn' in sys.modules)") == "False"
    assert "sklearn" in sys.modules
