"""`python -m jaxgen`."""

from jaxgen.cli import main
from jaxgen.io.program import command

command(main)
