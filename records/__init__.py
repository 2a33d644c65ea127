"""What is kept: records of runs, cases, ledgers of known deviations, and the history of runs."""

if __name__ != "adjudge.records":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.records")
