"""What is kept: records of runs, cases, ledgers of known deviations, and the history of runs."""
