"""Problems of each loss and penalty of ours by name, for the benchmarks of first calls and of memory."""

import numpy as np
import sparseopt as so

#: Responses or classes where there are several, and the size of groups of features.
RESPONSES, GROUP = 3, 5


def targets_of(loss, score):
    """What this loss is fitted to, drawn from a score a sample."""
    n = score.size
    spread = score / score.std()
    match loss:
        case "Logistic":
            return (np.sign(score),)
        case "Poisson":
            return (np.round(np.exp(spread / 2)),)
        case "Cox":
            # the third of the samples with the longest times is censored
            return np.exp(-spread) + np.linspace(0.0, 1e-6, n), (spread > np.quantile(spread, 1 / 3)).astype(float)
        case "Multinomial":
            return (np.digitize(spread, np.quantile(spread, [1 / 3, 2 / 3])).astype(float),)
        case "MultiResponse":
            return (np.asfortranarray(np.column_stack([np.roll(score, k) for k in range(RESPONSES)])),)
    return (score,)


def loss_of(name, X, score, **options):
    """The loss of this name on (X, targets); targets have the type of X."""
    return getattr(so, name)(X, *(target.astype(X.dtype) for target in targets_of(name, score)), **options)


def penalty_of(name, alpha, p):
    """The penalty of this name on p features, or None."""
    penalties = {
        "L1": so.L1,
        "L0": so.L0,
        "MCP": so.MCP,
        "SCAD": so.SCAD,
        "Ridged(L1)": lambda alpha: so.Ridged(so.L1(alpha), alpha),
        "Ridged(L0)": lambda alpha: so.Ridged(so.L0(alpha), alpha),
        "Weighted(L1)": lambda alpha: so.Weighted(so.L1(alpha), np.linspace(1, 2, p)),
        "Nonnegative(L1)": lambda alpha: so.Nonnegative(so.L1(alpha)),
        "GroupLasso": lambda alpha: so.GroupLasso(alpha, GROUP),
        "GroupLasso of rows": lambda alpha: so.GroupLasso(alpha, RESPONSES, [1.0]),
        "SLOPE": lambda alpha: so.SLOPE(alpha * np.linspace(2, 1, p)),
        "TrendFiltering": so.TrendFiltering,
    }
    return penalties[name](alpha) if name in penalties else None
