"""What goes wrong at night, done on purpose: each drill ends with a table of what was sent, acknowledged and found.

`python -m drills` runs them all, `python -m drills rolling` one; `--write` puts the tables into docs/reliability.md.
They need Debian's HAProxy, Patroni, etcd, PgBouncer and PostgreSQL, and run on loopback only.
"""
