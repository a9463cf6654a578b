"""`python -m etseg`: the command, where its script is not on the path."""

from etseg._cli import main

main(prog_name="python -m etseg")
