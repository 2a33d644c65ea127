"""Runs: settings, tasks, the one search loop, and the records that it emits, over many processes."""
