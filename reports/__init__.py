"""What is said: records, summaries, cases, ledgers and pages; all of it reads records, nothing here asks a backend."""

if __name__ != "adjudge.reports":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.reports")
