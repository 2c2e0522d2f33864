"""Cross-validation of a sparsity: folds see only their own samples, and the choice follows the rule."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge

from sparseopt.pruning import Magnitude, PruningCrossValidation, Scored, prune, prune_cv

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 20))
Y = (X[:, :4] @ [2.0, -2.0, 1.5, 1.0] + 0.3 * RNG.standard_normal(200) > 0).astype(int)
REFITTED = Scored(Magnitude(), refit=True)


def test_the_sparsity_is_found_that_the_data_were_made_with():
    """Four of twenty columns matter."""
    found = prune_cv(LogisticRegression().fit(X, Y), X, Y, sparsities=(0.5, 0.7, 0.8, 0.9, 0.95), method=REFITTED)
    assert found.candidates[found.chosen] == 0.8
    assert found.pruned.mask["coef_"].ravel().nonzero()[0].tolist() == [0, 1, 2, 3]
    assert found.model is found.pruned.model
    assert found.qualities.shape == (5, 5)
    np.testing.assert_allclose(found.sparsities.mean(axis=0), found.candidates)
    assert "sparsity 0.8 of 5" in repr(found)


def test_a_threshold_can_be_chosen_too():
    thresholds = np.array([2.0, 0.1, 0.5])
    found = prune_cv(LogisticRegression().fit(X, Y), X, Y, thresholds=thresholds, method=Magnitude())
    assert found.candidates.tolist() == [0.1, 0.5, 2.0]
    assert (np.diff(found.sparsities, axis=1) >= 0).all()
    chosen = found.candidates[found.chosen]
    assert found.pruned.mask == prune(LogisticRegression().fit(X, Y), X, threshold=chosen, method=Magnitude()).mask


def test_the_choice_is_the_sparsest_within_a_standard_error_or_the_best():
    found = prune_cv(LogisticRegression().fit(X, Y), X, Y, sparsities=(0.5, 0.8, 0.9), method=REFITTED, choose="best")
    assert found.chosen == found.best == np.flatnonzero(found.mean == found.mean.max())[-1]
    within = found.mean >= found.mean[found.best] - found.standard_error[found.best]
    assert found.one_standard_error == np.flatnonzero(within)[-1]


def test_folds_are_dealt_by_class_and_a_model_can_be_trained_in_each():
    seen = []

    def train(rows, labels):
        seen.append((rows, labels))
        return clone(model).fit(rows, labels)

    model = LogisticRegression().fit(X, Y)
    found = prune_cv(model, X, Y, sparsities=[0.8], folds=4, train=train, method=REFITTED)
    assert [len(rows) for rows, _ in seen] == [150] * 4
    assert len({labels.sum() for _, labels in seen}) <= 2
    missing = [{tuple(row) for row in X} - {tuple(row) for row in rows} for rows, _ in seen]
    assert sum(map(len, missing)) == len(set.union(*missing)) == 200
    # the first fold by hand
    first = train(*seen[0])
    outside = np.array([tuple(row) in missing[0] for row in X])
    pruned = prune(first, X[~outside], Y[~outside], sparsity=0.8, method=REFITTED)
    assert found.qualities[0, 0] == pytest.approx(pruned.model.score(X[outside], Y[outside]))
    assert found.dense_qualities[0] == pytest.approx(first.score(X[outside], Y[outside]))


def test_without_labels_the_quality_is_the_agreement_with_the_model(capsys):
    model = Ridge().fit(X, X[:, :2])
    found = prune_cv(model, X, sparsities=(0.5, 0.9, 0.95), progress=True)
    assert (found.dense_qualities == 1).all()
    assert ((found.mean > 0.9) & (found.mean < 1)).all()
    assert len(capsys.readouterr().err.splitlines()) == 5
    assert isinstance(found, PruningCrossValidation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsities": (0.5,), "thresholds": (0.1,)}, "one of the two"),
        ({"sparsities": ()}, "at least one"),
        ({"sparsities": (1.0,)}, "below 1"),
        ({"folds": 1}, "from 2"),
        ({"choose": "median"}, "one_standard_error or best"),
        ({"y": Y[:-1]}, "one target per sample"),
    ],
)
def test_wrong_options_of_the_choice_are_told_at_the_door(options, message):
    with pytest.raises(ValueError, match=message):
        prune_cv(LogisticRegression().fit(X, Y), X, **{"y": Y, **options})
