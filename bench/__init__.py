"""How fast the gradients are: backprop of a few ops timed in worker processes, and every timed answer judged right first."""

if __name__ != "adjudge.bench":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.bench")
