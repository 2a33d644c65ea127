"""The conformance suite: every row of the catalogue, put to one backend."""
