"""Scikit-learn: sparse estimators of ours, and masks for linear models and perceptrons of its own."""

from sparseopt.adapters.sklearn.classifiers import L0Classifier as L0Classifier
from sparseopt.adapters.sklearn.classifiers import SparseClassifier as SparseClassifier
from sparseopt.adapters.sklearn.classifiers import SparseLogisticRegression as SparseLogisticRegression
from sparseopt.adapters.sklearn.features import FeatureSelector as FeatureSelector
from sparseopt.adapters.sklearn.masks import LinearAdapter as LinearAdapter
from sparseopt.adapters.sklearn.masks import PerceptronAdapter as PerceptronAdapter
from sparseopt.adapters.sklearn.masks import adapt as adapt
from sparseopt.adapters.sklearn.masks import apply as apply
from sparseopt.adapters.sklearn.regressors import ElasticNet as ElasticNet
from sparseopt.adapters.sklearn.regressors import GroupLasso as GroupLasso
from sparseopt.adapters.sklearn.regressors import L0Regressor as L0Regressor
from sparseopt.adapters.sklearn.regressors import Lasso as Lasso
from sparseopt.adapters.sklearn.regressors import MCPRegressor as MCPRegressor
from sparseopt.adapters.sklearn.regressors import SCADRegressor as SCADRegressor
from sparseopt.adapters.sklearn.regressors import SparseRegressor as SparseRegressor
from sparseopt.adapters.sklearn.search import SparseClassifierCV as SparseClassifierCV
from sparseopt.adapters.sklearn.search import SparseRegressorCV as SparseRegressorCV
