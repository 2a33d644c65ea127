"""``python -m adjudge`` is the command `adjudge`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="adjudge")
