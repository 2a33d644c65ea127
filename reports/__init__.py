"""What is said: records, summaries, cases, ledgers and pages; all of it reads records, nothing here asks a backend."""
