"""`python -m wanimate_simulator` is the command `wanimate-simulator`."""

from .cli import main

if __name__ == "__main__":
    main()
