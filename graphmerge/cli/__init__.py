"""The command line: every command reads models, calls one function of the package, and shows or saves its result."""

from graphmerge.cli.main import main

__all__ = ["main"]
