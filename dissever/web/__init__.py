"""
The runs in a browser: what `dissever serve` answers.

`server.py` takes connections and limits them, `routes.py` decides what is answered, `pages.py` and
the templates in `page/` make HTML. Nothing in here changes a file.
"""

from dissever.web.routes import Site
from dissever.web.server import Server

__all__ = ["Server", "Site"]
