"""Readers of functions that users bring, as programs."""

if __name__ != "adjudge.readers":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.readers")
