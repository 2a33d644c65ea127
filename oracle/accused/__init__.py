"""What happens beside an implementation under test, in its own process or in this one: it is asked, and watched.

Every module here, and the ones in `adjudge.backends.protocol` that say so, run where there is only CPython 3.8 and NumPy: the
process of an accused library loads them by their files, in whatever environment that library lives in.
"""
