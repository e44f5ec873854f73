"""From settings to the application that a worker serves: the only place that puts the parts together.

It runs in every worker process, so what is built here exists once a process.
"""

from hyperfleet import settings
from hyperfleet.http.app import application
from hyperfleet.http.middleware import Middleware
from hyperfleet.model.kind import BUILT_IN, Catalog
from hyperfleet.store.database import Database


def catalog() -> Catalog:
    """The kinds that are served."""
    return Catalog(BUILT_IN)


def assembled(configured: settings.Settings) -> Middleware:
    """The ASGI application on a pool of its own; its lifespan opens and closes the pool."""
    return application(Database(configured.database), catalog(), configured)
