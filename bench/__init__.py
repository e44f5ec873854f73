"""The benchmark: the real service, its database and the load on one machine, each figure beside its ceiling."""
