"""adjudge's own tests; `conformance` is the suite that ships with the package."""
