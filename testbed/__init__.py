"""What tests, benchmarks and drills share: the service as an operator starts it, its callers, its database, its fleet.

It imports neither of the three.
"""
