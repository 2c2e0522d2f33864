"""Data frames as users have them: names that must be the model's, and columns of types that know missing values."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt.adapters.sklearn.masks import apply
from sparseopt.pruning import prune_cv, prune_neurons, prune_path, quantised, size_report

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.standard_normal((60, 4)), columns=["age", "height", "weight", "dose"])
Y = 3 * FRAME["age"] - FRAME["dose"]
LINEAR = LinearRegression().fit(FRAME, Y)
PERCEPTRON = MLPClassifier((5, 4), max_iter=5, early_stopping=False, solver="lbfgs", random_state=0)
TURNED = FRAME[FRAME.columns[::-1]]


@pytest.fixture(scope="module")
def perceptron():
    with pytest.warns(ConvergenceWarning):
        return PERCEPTRON.fit(FRAME, Y > 0)


@pytest.mark.parametrize(
    "use",
    [
        lambda model, X: so.prune(model, X, sparsity=0.5),
        lambda model, X: so.prune(model, FRAME, sparsity=0.5, validation=(X, Y > 0)),
        lambda model, X: prune_path(model, X, sparsities=(0.5,)),
        lambda model, X: prune_cv(model, X, sparsities=(0.5,), folds=2),
        lambda model, X: prune_neurons(model, X, sparsity=0.5),
        lambda model, X: prune_neurons(model, FRAME, sparsity=0.5, validation=(X, Y > 0)),
        lambda model, X: quantised(model, X=X),
        lambda model, X: size_report(model, X=X, seconds=0.001),
    ],
)
def test_a_frame_whose_columns_are_in_another_order_is_refused(perceptron, use):
    """One column would be taken for another, in silence."""
    use(perceptron, FRAME)
    with pytest.raises(ValueError, match="in another order.*age, height.*feature_names_in_"):
        use(perceptron, TURNED)


def test_a_frame_with_other_columns_is_told_which():
    with pytest.raises(ValueError, match="X has a column 'Age' which the model was not fitted on"):
        so.prune(LINEAR, FRAME.rename(columns={"age": "Age"}), sparsity=0.5)
    with pytest.raises(ValueError, match="X has no column 'dose' that the model was fitted on"):
        so.prune(LINEAR, FRAME[["age", "height", "weight"]], sparsity=0.5)
    mask = so.prune(LINEAR, FRAME, sparsity=0.5).mask
    with pytest.raises(ValueError, match="in another order"):
        apply(mask, LINEAR, TURNED, Y)


def test_arrays_and_frames_without_names_are_taken_as_they_are():
    found = so.prune(LINEAR, FRAME, sparsity=0.5).mask
    for same in (FRAME.to_numpy(), pd.DataFrame(FRAME.to_numpy())):
        assert so.prune(LINEAR, same, sparsity=0.5).mask == found


def test_columns_that_know_missing_values_are_numbers():
    found = so.prune(LINEAR, FRAME, sparsity=0.5).mask
    frame = FRAME.convert_dtypes()
    assert frame.to_numpy().dtype == object
    assert so.prune(LINEAR, frame, sparsity=0.5).mask == found
    frame.loc[3, "age"] = pd.NA
    with pytest.raises(ValueError, match="X holds NaN"):
        so.prune(LINEAR, frame, sparsity=0.5)
    with pytest.raises(ValueError, match="in column 'age'; encode"):
        so.prune(LINEAR, FRAME.assign(age="old"), sparsity=0.5)


def test_nullable_targets_are_labels_too():
    y = pd.Series((Y > 0).to_numpy(), dtype="boolean")
    with pytest.warns(ConvergenceWarning):
        model = MLPClassifier((4,), max_iter=5, solver="lbfgs", random_state=0).fit(FRAME, Y > 0)
    assert so.prune(model, FRAME, y, sparsity=0.5).quality == so.prune(model, FRAME, Y > 0, sparsity=0.5).quality


def test_no_filter_of_warnings_is_touched(monkeypatch):
    """They are those of all threads: one that sets them back may do so too late for another."""
    callers, enter = [], warnings.catch_warnings.__enter__

    def noted(self):
        callers.append(sys._getframe(1).f_globals["__name__"])
        return enter(self)

    with monkeypatch.context() as patched:
        patched.setattr(warnings.catch_warnings, "__enter__", noted)
        assert so.prune(LINEAR, FRAME, Y, sparsity=0.5).quality > 0.9
    assert not [name for name in callers if name.startswith("sparseopt")]
