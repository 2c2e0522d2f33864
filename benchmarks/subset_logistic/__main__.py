"""Best subsets of logistic regression, exact and not: `python -m benchmarks.subset_logistic --help`."""

import warnings

from benchmarks.contestants import chosen
from benchmarks.report import RESULTS, markdown, save
from benchmarks.subset_exact.__main__ import options_of, run_draws, with_kept
from benchmarks.suite import Suite


def main(arguments=None):
    """Measure, print and save."""
    suite = Suite("subset_logistic")
    options = options_of(suite, arguments)
    warnings.simplefilter("ignore")
    hosts, contestants = chosen(suite, options)
    rows = []
    try:
        # those that are there are kept where a later one fails
        rows.extend(run_draws(suite, contestants, options))
    finally:
        for host in hosts[1:]:
            host.close()
        if rows:
            print(markdown(rows), flush=True)
        if rows and (options.out or not options.quick):
            save(
                "subset_logistic",
                {"logistic": with_kept("subset_logistic", "logistic", rows, options)},
                options.out or RESULTS,
            )
    return rows


if __name__ == "__main__":
    main()
