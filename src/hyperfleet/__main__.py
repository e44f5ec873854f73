"""`python -m hyperfleet`: the same program as `hyperfleet-api`."""

from hyperfleet.cli.commands import main

main()
