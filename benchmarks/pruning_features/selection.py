"""Which k features predict best on samples that were held out, and what it takes to find them."""

import time
from collections import defaultdict

import numpy as np

from benchmarks.data import real, stored
from benchmarks.pruning_features.tables import tables

SIZES = (2, 5, 10, 20)
# Rows beyond which a data set is thinned, and features beyond which peers eliminate a tenth at a time.
ROWS, MANY = 3000, 600


def regressions(folder=None):
    """Name, X and y of regression problems: two of scikit-learn, and those of a folder with at least 60 dense rows."""
    yield "diabetes", *real("diabetes", 1)
    yield "diabetes, squares and products", *real("diabetes", 2)
    for file in sorted(folder.glob("*.npz")) if folder else ():
        found = stored(file)
        X, y = found["X"], found["y"]
        if file.stem == "diabetes" or found["has_classes"] or not isinstance(X, np.ndarray) or len(y) < 60:
            continue
        if np.unique(y).size < 10:
            continue
        rows = np.random.default_rng(0).permutation(len(y))[:ROWS]
        yield file.stem, X[rows], y[rows]


def peers(k, features):
    """Functions of (X, y) that give k columns, by name; ours is the first."""
    from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, mutual_info_regression
    from sklearn.linear_model import LassoCV, LinearRegression
    from sparseopt.adapters.sklearn import FeatureSelector
    from sparseopt.pruning import BestSubset, InformationGain, LassoFeatures

    step = 1 if features <= MANY else 0.1

    def information(X, y):
        return mutual_info_regression(X, y, random_state=0)

    return {
        "BestSubset": FeatureSelector(BestSubset(), n_features_to_select=k),
        "LassoFeatures": FeatureSelector(LassoFeatures(), n_features_to_select=k),
        "InformationGain": FeatureSelector(InformationGain(), n_features_to_select=k),
        "sklearn RFE": RFE(LinearRegression(), n_features_to_select=k, step=step),
        "sklearn SelectFromModel(LassoCV)": SelectFromModel(LassoCV(cv=5), threshold=-np.inf, max_features=k),
        "sklearn mutual information": SelectKBest(information, k=k),
    }


def held_out(problems, splits, datasets=None, told=print):
    """Tables of errors, of CPU seconds, and of what both say of us; of some data sets if named."""
    errors, seconds, standing = [], [], []
    for name, X, y in problems:
        if datasets and name not in datasets:
            continue
        n, p = X.shape
        sizes = [k for k in SIZES if k <= p // 2 and k <= n // 8]
        found, spent = defaultdict(list), defaultdict(list)
        for seed in range(splits):
            order = np.random.default_rng(seed).permutation(n)
            train, test = order[: 2 * n // 3], order[2 * n // 3 :]
            for k in sizes:
                for method, (error, taken) in tried(X, y, train, test, k).items():
                    spent[method, k].append(taken)
                    found[method, k].append(error / np.var(y[test]))
        methods = list(peers(1, p))
        for k in sizes:
            about = {"dataset": name, "n": n, "p": p, "k": k}
            errors.append(about | {method: float(np.mean(found[method, k])) for method in methods})
            seconds.append(about | {method: float(np.median(spent[method, k])) for method in methods})
        standing.append({"dataset": name, "n": n, "p": p} | _standing(methods, sizes, found, spent))
        told(standing[-1])
    return {"held-out error": errors, "CPU seconds": seconds, "BestSubset beside each peer": standing}


def tried(X, y, train, test, k):
    """Mean square error on the test rows of each method's k columns, chosen and fitted on the others, and CPU seconds."""
    from sklearn.linear_model import LinearRegression

    found = {}
    for method, selector in peers(k, X.shape[1]).items():
        start = time.process_time()
        columns = selector.fit(X[train], y[train]).get_support()
        taken = time.process_time() - start
        model = LinearRegression().fit(X[np.ix_(train, columns)], y[train])
        found[method] = float(np.mean((model.predict(X[np.ix_(test, columns)]) - y[test]) ** 2)), taken
    return found


def _standing(methods, sizes, found, spent):
    """Mean difference of the error over sizes and splits, with its standard error, and the ratio of the seconds."""
    row = {}
    for method in methods[3:]:
        short = method.removeprefix("sklearn ")
        gaps = np.mean([np.subtract(found[methods[0], k], found[method, k]) for k in sizes], axis=0)
        row[f"error - {short}"] = float(gaps.mean())
        row[f"+- {short}"] = float(gaps.std(ddof=1) / np.sqrt(gaps.size)) if gaps.size > 1 else float("nan")
        ratios = [np.median(spent[method, k]) / np.median(spent[methods[0], k]) for k in sizes]
        row[f"times faster than {short}"] = float(np.exp(np.mean(np.log(ratios))))
    return row


def many_tables(splits, datasets=None):
    """Of many small tables what the errors and seconds say of us, and how many say so."""
    standing = held_out(tables(), splits, datasets)["BestSubset beside each peer"]
    rows = []
    for peer in (name.removeprefix("+- ") for name in standing[0] if name.startswith("+- ")):
        gaps = np.array([row[f"error - {peer}"] for row in standing])
        noise = 2 * np.array([row[f"+- {peer}"] for row in standing])
        lower, higher = np.sum(gaps < 0), np.sum(gaps > 0)
        rows.append({
            "peer": peer, "tables": len(gaps), "our error is lower": int(lower), "higher": int(higher),
            "lower by two standard errors": int(np.sum(gaps < -noise)), "higher by two": int(np.sum(gaps > noise)),
            "median difference": float(np.median(gaps)),
            "times faster, median": float(np.median([row[f"times faster than {peer}"] for row in standing])),
        })  # fmt: skip
    return {"many tables": rows, "each table": standing}


def forests(told=print):
    """Accuracy of random forests on few features, by five folds; the choice is within the folds."""
    from sklearn import datasets
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sparseopt.adapters.sklearn import FeatureSelector
    from sparseopt.pruning import BestSubset, InformationGain, LassoFeatures, MutualInformation, RecursiveElimination

    rows = []
    methods = [InformationGain(), MutualInformation(), RecursiveElimination(step=0.1), LassoFeatures(), BestSubset()]
    forest = RandomForestClassifier(30, random_state=0)
    for name in ("iris", "wine", "breast_cancer", "digits"):
        X, y = vars(datasets)[f"load_{name}"](return_X_y=True)
        everything = float(cross_val_score(forest, X, y).mean())
        for k in (k for k in (2, 4, 8, 16) if k <= X.shape[1] // 2):
            row = {"dataset": name, "p": X.shape[1], "k": k, "all features": everything}
            for method in methods:
                selector = FeatureSelector(method, n_features_to_select=k, estimator=forest)
                start = time.process_time()
                row[type(method).__name__] = float(cross_val_score(make_pipeline(selector, forest), X, y).mean())
                row[f"{type(method).__name__}, s"] = time.process_time() - start
            rows.append(row)
            told(row)
    return {"random forest": rows}


def proofs(folder, limit, datasets=None, told=print):
    """Seconds and gap of the proof that no other k features fit better, up to 128 features, without a ridge and with two.

    Of columns that depend on each other nothing is proven without a ridge. The likeliest ridge is the one by default.
    """
    from sparseopt.adapters.sklearn import FeatureSelector
    from sparseopt.pruning import BestSubset

    rows = []
    for name, X, y in regressions(folder):
        n, p = X.shape
        if p > 128 or n < p or (datasets and name not in datasets):
            continue
        for k, ridge in ((k, ridge) for k in (5, 10, 20) if k < p for ridge in (0.0, 0.1, None)):
            start = time.process_time()
            method = BestSubset(ridges=ridge, proof_time=limit)
            selector = FeatureSelector(method, n_features_to_select=k).fit(X, y)
            row = {"dataset": name, "n": n, "p": p, "k": k, "ridge": "likeliest" if ridge is None else ridge}
            row |= {"relative gap": selector.certificate_.relative_gap, "seconds": time.process_time() - start}
            rows.append(row)
            told(row)
    return {"proofs of features": rows}
