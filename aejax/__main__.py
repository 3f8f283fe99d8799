"""`python -m aejax` is `aejax`."""

from aejax.cli import main

if __name__ == "__main__":
    main()
