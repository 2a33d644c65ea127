"""The environment of every process that runs tests."""

import os

# As in every process of adjudge's own (see `adjudge.backends.mygrad`): tests that judge come in any order, and some only load.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
