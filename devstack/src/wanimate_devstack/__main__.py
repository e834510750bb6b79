"""`python -m wanimate_devstack` is the command `wanimate-devstack`."""

from .cli import main

if __name__ == "__main__":
    main()
