"""Tests of the room suite."""
