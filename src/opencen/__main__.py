"""`python -m opencen` is `opencen`."""

from opencen.cli.main import main

main()
