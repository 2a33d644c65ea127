"""Tests of the whole house: its rooms, its packaging, its documentation."""
