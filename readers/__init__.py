"""Readers of functions that users bring, as programs."""
