"""Helpers shared by tests, benchmarks and drills: a running service, its callers, its database and its fleet.

This package imports none of the three.
"""
