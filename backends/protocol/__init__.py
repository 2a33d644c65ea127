"""The protocol between the judge and the process of an implementation, both ends of it; README.md describes it.

`frames`, `finding`, `library`, `standing` and `child` need CPython 3.8 and NumPy alone.
"""
