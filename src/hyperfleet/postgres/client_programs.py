"""PostgreSQL's client programs for the configured database: selects the program, and the connection parameters.

Parameters are passed in libpq's variables, because every account of the machine can read a command line.
"""

import os
import shutil
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from hyperfleet import settings
from hyperfleet.errors import Unavailable
from hyperfleet.postgres import programs

_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "database": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
}
"""The parameters of a URL, and libpq's variable for each; any other parameter is a setting of the session."""

_ENCRYPTED: Final = {"require", "verify-ca", "verify-full"}


def environment(configured: settings.Database) -> dict[str, str]:
    """This process's environment, with libpq's variables replaced by those for this database."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    return inherited | {name: text for name, text in _way(configured).items() if text}


def program(name: str, way: Mapping[str, str]) -> str:
    """The path of a client program: the bundled one, or the machine's when the connection uses TLS.

    Raises Unavailable when the machine has no such program.
    """
    if way.get("PGSSLMODE") not in _ENCRYPTED:
        return str(programs.binaries(programs.account_for()) / name)
    found = shutil.which(name)
    if found is None:
        raise Unavailable(
            f"The database connection uses TLS, which the bundled {name} does not support, and {name} is "
            "not installed on this machine. Install PostgreSQL's client programs (Debian and Ubuntu: apt "
            "install postgresql-client)."
        )
    return found


def _way(configured: settings.Database) -> dict[str, str]:
    if configured.url:
        way = _way_of_url(str(configured.url))
    else:
        way = {"PGHOST": configured.host.replace(" ", ""), "PGPORT": str(configured.port)}
        way |= {"PGUSER": configured.username, "PGDATABASE": configured.name}
    way.setdefault("PGTARGETSESSIONATTRS", "primary")
    if configured.password:
        way["PGPASSWORD"] = str(configured.password)
    if configured.ssl.mode != "disable":
        way["PGSSLMODE"] = configured.ssl.mode
        if configured.ssl.mode != "require":
            way["PGSSLROOTCERT"] = configured.ssl.root_cert_file or ssl.get_default_verify_paths().cafile or "system"
    return way


def _way_of_url(url: str) -> dict[str, str]:
    """The variables for the parameters of a URL."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    pairs = [host.rpartition(":") if _has_port(host) else (host, "", "") for host in hosts.split(",")]
    said = {"user": unquote(user), "password": unquote(password), "dbname": unquote(parts.path.removeprefix("/"))}
    said["host"] = ",".join(unquote(host).strip("[]") for host, _, _ in pairs)
    said["port"] = ",".join(port for _, _, port in pairs) if any(port for _, _, port in pairs) else ""
    way = {_VARIABLES[name]: text for name, text in said.items() if text}
    session = []
    for name, text in parse_qsl(parts.query):
        if name in _VARIABLES:
            way.setdefault(_VARIABLES[name], text)
        else:
            escaped = text.replace("\\", "\\\\").replace(" ", "\\ ")
            session.append(f"-c {name}={escaped}")
    if session:
        way["PGOPTIONS"] = " ".join([way.get("PGOPTIONS", ""), *session]).strip()
    return way


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]
