"""Functions that people bring, read as programs."""
