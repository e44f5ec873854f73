"""Secrets among the settings: whatever is wrong with one, its value is never shown."""

import contextlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from asyncpg import connect_utils
from hypothesis import example, given
from hypothesis import strategies as st

from hyperfleet.assembly import databases
from hyperfleet.cli import settings_reference
from hyperfleet.cli.configuration import load
from hyperfleet.settings import BadSettings, Row
from hyperfleet.settings.forms import DATABASE_URL
from testbed.programs import run
from tests.house.test_settings import ROWS, file_with, mistakes

SECRETS = [row for row in ROWS if row.is_secret]
SECRET = "S3cretWord"


def told(flags: dict[str, str], environ: dict[str, str], files: list[Path]) -> str:
    """Everything that a user may read of these settings, taken or refused."""
    try:
        loaded = load(flags, environ, files=files)
    except BadSettings as refused:
        return "\n".join(refused.mistakes)
    database = loaded.settings.database
    # The host is no secret: it is what an operator looks for first.
    where = databases.described(database).replace(urlsplit(str(database.url)).netloc.rpartition("@")[2], "")
    return "\n".join([*settings_reference.effective(loaded), repr(loaded), str(loaded.settings), where])


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
AROUND = st.tuples(
    st.sampled_from(
        ["", "postgresql://", "postgres://u:", "postgresql://u:x@h/d?password=", "mysql://", "*", "&", "!"]
    ),
    TEXTS,
    st.sampled_from(["", "@h", "@h:5432/d", "/x@h", "@h/d?sslmode=require", "@[::1", ":x@h", "\n", "?", "#"]),
)


@pytest.mark.parametrize("row", SECRETS, ids=lambda row: row.path)
@given(AROUND)
@example(("postgresql://u:", "", "/x@h"))
@example(("postgresql://u:x@h/d?password=", "@", ""))
def test_no_text_of_a_secret_is_ever_shown(row: Row, around: tuple[str, str, str]) -> None:
    before, middle, after = around
    text = before + middle + SECRET + after
    assert SECRET not in told({row.flag: text}, {}, [])
    assert SECRET not in told({}, {row.variable: text}, [])
    if row.form is not DATABASE_URL:
        assert SECRET not in told({"--database-host": "db", row.flag: text}, {}, [])


@pytest.mark.parametrize("row", SECRETS, ids=lambda row: row.path)
@pytest.mark.parametrize(
    "written",
    ["*{}", '"{}', "[{}", "{{{}", "{{a: {}}}", "[[{}]]", "!{} x", "'{}' x", "&{} *b", '"\\{}"', "@{}", "|\n{}", "`{}"],
)
def test_no_file_that_is_malformed_shows_a_secret(row: Row, written: str, tmp_path: Path) -> None:
    group, _, name = row.path.rpartition(".")
    file = file_with(tmp_path, f"{group}:\n  {name}: {written.format(SECRET)}\n")
    assert SECRET not in told({}, {}, [file])
    assert re.search(r"line \d|must be a single value|control characters", told({}, {}, [file])) or written == "|\n{}"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}/x@h/d",
        f"postgresql://u:{SECRET}?x@h/d",
        f"postgresql://u:{SECRET}#x@h/d",
        f"postgresql://u:{SECRET}@x@h/d",
        f"postgresql://u:{SECRET}[x@h/d",
        f"postgresql://u:{SECRET}%zz@h/d",
        f"postgresql://u:{SECRET}℀@h/d",
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql://u:{SECRET}@h:0/d",
        f"postgresql://u:{SECRET}@h:65536/d",
        f"postgresql://u:{SECRET}@[::1/d",
        f"postgresql://u:{SECRET}@h/d?{SECRET}",
        f"postgresql://u:{SECRET}@h/d?port={SECRET}",
        f"mysql://u:{SECRET}@h/d",
        f"postgresql:/u:{SECRET}@h/d",
        f"u:{SECRET}@h",
    ],
)
def test_a_url_that_the_driver_would_trip_over_is_one_sentence_at_the_start(url: str) -> None:
    (mistake,) = mistakes({"--database-url": url})
    assert mistake.startswith("database.url (flag --database-url): must ")
    assert SECRET not in mistake


GOOD_URLS = [
    "postgresql://h/d",
    "postgres://h",
    "postgresql:///d?host=/run/postgresql",
    "postgresql://u:p%2Fx%40@h:5432/d?sslmode=require&connect_timeout=10",
    "postgresql://u:a:b=c+d!$&'()*,;~@h/d",
    "postgresql://u@a:1,b:65535,[::1]:5432/d?target_session_attrs=primary",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_url_that_the_driver_reads_is_taken(url: str) -> None:
    assert load({"--database-url": url}, {}, files=[]).settings.database.url == url
    parsed(url)


PIECES = st.sampled_from(
    ["?host=", "?port=", "&port=", "user=", "@h:", "[::1]", "%41", "?password=", "&sslmode=require", "service=", "/run"]
)


@given(st.lists(st.sampled_from("u:p@h/d?#[]%,=&0a9.-") | PIECES, max_size=8).map("".join))
def test_whatever_is_taken_as_a_url_the_driver_reads_or_refuses_in_a_sentence_of_its_own(text: str) -> None:
    try:
        url = DATABASE_URL.read("postgresql://" + text)
    except ValueError:
        return
    with contextlib.suppress(asyncpg.ClientConfigurationError):
        parsed(url)


def parsed(url: str) -> None:
    """Raises what the driver raises when it reads the URL."""
    nothing: dict[str, Any] = dict.fromkeys(
        ["host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile"]
    )
    connect_utils._parse_connect_dsn_and_args(
        dsn=url,
        direct_tls=None,
        server_settings=None,
        target_session_attrs=None,
        krbsrvname=None,
        gsslib=None,
        **nothing,
    )


@pytest.mark.parametrize("command", ["config", "serve", "migrate"])
def test_no_command_shows_the_password_of_a_malformed_url(command: str) -> None:
    done = run(command, variables={"HYPERFLEET_DATABASE_URL": f"postgresql://u:{SECRET}/x@h/d"})
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert (
        "database.url (variable HYPERFLEET_DATABASE_URL): must be postgresql://user:password@host:port/name"
        in done.stderr
    )
    assert SECRET not in done.stderr


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    url = f"postgres://u:{SECRET}@127.0.0.1:1/d?password={SECRET}@{SECRET}"
    given = {"HYPERFLEET_DATABASE_URL": url, "HYPERFLEET_DATABASE_POOL_CONN_RETRY_ATTEMPTS": "1"}
    done = run("migrate", variables=given)
    assert done.returncode == 1
    assert "the database at 127.0.0.1:1/d" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_url_with_a_user_in_another_setting_is_not_shown(tmp_path: Path) -> None:
    url = f"https://u:{SECRET}@sso.example.com"
    file = file_with(tmp_path, f"server: {{jwt: {{configs: [{{issuer_url: '{url}', jwk_cert_url: '{url}'}}]}}}}")
    found = mistakes({"--server-port": f"postgresql://u:{SECRET}@h"}, file=file)
    assert len(found) == 4
    assert all(SECRET not in mistake for mistake in found)
