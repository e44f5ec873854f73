"""The benchmark: the real service, its database and the load on one machine; each rate is shown with its ceiling."""
