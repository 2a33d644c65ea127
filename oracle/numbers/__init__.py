"""The numbers that the reference runs on: floats, balls, and Taylor series of balls."""
