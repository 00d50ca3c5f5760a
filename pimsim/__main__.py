"""`python -m pimsim`."""

from pimsim.cli import main

if __name__ == "__main__":
    main()
