"""Runs: settings, tasks, the one search loop, and the records that it emits, over many processes."""

if __name__ != "adjudge.suite":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.suite")
