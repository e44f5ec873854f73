"""Failure drills: each causes one failure on purpose, and ends with a table of what was sent, acknowledged and found.

`python -m drills` runs all of them, `python -m drills rolling` only one; `--write` puts the tables into
docs/reliability.md. They need Debian's HAProxy, Patroni, etcd, PgBouncer and PostgreSQL, and run on loopback only.
"""
