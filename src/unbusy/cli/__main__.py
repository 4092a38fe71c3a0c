"""So that `python -m unbusy.cli` is `unbusy`."""

from unbusy.cli import main

if __name__ == "__main__":
    main()
