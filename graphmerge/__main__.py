"""``python -m graphmerge`` is ``graphmerge``."""

from graphmerge.cli import main

if __name__ == "__main__":
    main()
