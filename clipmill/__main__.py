"""`python -m clipmill` is the command line."""

from clipmill.cli import main

if __name__ == "__main__":
    main()
