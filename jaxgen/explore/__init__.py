"""A page in the browser on which runs are watched, compared and played with.

server    make_app: the page and its requests, as a Starlette application
access    who may ask: a token, and pages of this server alone
watched   what a run directory tells: its record, its curves, its grids
views     what the page asks for
drawn     pictures that a run's exported functions draw
codes     the codes of images: of a seed, between four of them, along directions, of a picture
pictures  what a run makes of pictures that somebody brings
uploads   pictures that the page sends, in memory
code      the command line or the lines of Python that draw the same picture
page/     the page: HTML, CSS and JavaScript without a build step

Nothing is written into a run, and no code of an experiment is needed: the page works from files and exported functions.
"""

from jaxgen.explore.drawn import Drawer, save_view
from jaxgen.explore.views import View

__all__ = ["Drawer", "View", "save_view"]
