"""`python -m mayfly` is the command line."""

from mayfly.cli import main

main()
