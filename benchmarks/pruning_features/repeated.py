"""Ours beside each peer on every data set and number of features, by repeated cross-validation, with two errors.

In each repeat every sample is held out once, and the difference of two methods is taken on the same folds. It has two
errors, which answer two questions.

- Of the folds: would other folds of these samples say the same? The repeats are independent, so this is their
  standard deviation over the root of their number, and as small as one has patience.
- Of the samples: would other samples of the same kind say the same? Folds share most of their training samples, so this
  does not shrink with repeats: with J differences of variance s^2 it is s (1 / J + held out / trained)^(1/2)
  (Nadeau and Bengio, "Inference for the generalization error", 2003; Bouckaert and Frank, 2004, for repeated folds).

Only what is beyond two errors of the samples is called lower or higher.
"""

from collections import defaultdict

import numpy as np

FOLDS = 5
REPEATED = "repeated cross-validation"


def repeated(problems, repeats, datasets=None, told=print):
    """Rows of each data set, number of features and peer; of some data sets if named."""
    from benchmarks.pruning_features.selection import SIZES, peers, tried

    rows = []
    for name, X, y in problems:
        if datasets and name not in datasets:
            continue
        n, p = X.shape
        found = defaultdict(list)
        sizes = [k for k in SIZES if k <= p // 2 and k <= n // 8]
        for seed in range(repeats):
            parts = np.array_split(np.random.default_rng(seed).permutation(n), FOLDS)
            for held in parts:
                trained = np.setdiff1d(np.arange(n), held)
                for k in sizes:
                    for method, (error, _) in tried(X, y, trained, held, k).items():
                        found[method, k].append(error / np.var(y))
        ours, *others = (method for method in peers(1, p) if method not in {"LassoFeatures", "InformationGain"})
        for k in sizes:
            about = {"dataset": name, "n": n, "p": p, "k": k, "BestSubset": float(np.mean(found[ours, k]))}
            for peer in others:
                gap = difference(np.subtract(found[ours, k], found[peer, k]), FOLDS)
                rows.append(about | {"peer": peer, "its": float(np.mean(found[peer, k]))} | gap)
                told(*rows[-1].values(), flush=True)
    return {REPEATED: rows}


def difference(gaps, folds):
    """Mean difference over repeated folds, one repeat after the other, its two errors, and what they let one say."""
    mean, repeats = float(np.mean(gaps)), np.reshape(gaps, (-1, folds)).mean(axis=1)
    of_folds = float(np.std(repeats, ddof=1) / repeats.size**0.5)
    of_samples = float(np.std(gaps, ddof=1) * (1 / np.size(gaps) + 1 / (folds - 1)) ** 0.5)
    beyond = "" if abs(mean) <= 2 * of_samples else "lower" if mean < 0 else "higher"
    return {"difference": mean, "+- of the folds": of_folds, "+- of the samples": of_samples, "beyond two": beyond}


def counted(rows):
    """Table for each peer how often the error of ours is lower or equal, higher, and beyond two errors of either kind."""
    table = []
    for peer in dict.fromkeys(row["peer"] for row in rows):
        of = [row for row in rows if row["peer"] == peer]
        sure = [row for row in of if abs(row["difference"]) > 2 * row["+- of the folds"]]
        table.append({
            "peer": peer, "rows": len(of), "at most its error": sum(row["difference"] <= 0 for row in of),
            "higher": sum(row["difference"] > 0 for row in of),
            "lower by two of the folds": sum(row["difference"] < 0 for row in sure),
            "higher by two of the folds": sum(row["difference"] > 0 for row in sure),
            "lower by two of the samples": sum(row["beyond two"] == "lower" for row in of),
            "higher by two of the samples": sum(row["beyond two"] == "higher" for row in of),
        })  # fmt: skip
    return {"what it says": table}
