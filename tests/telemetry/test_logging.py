"""Logs: one object a line, secrets masked at any depth, nothing that a caller sends can break a line."""

import io
import json
import logging as standard
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from hyperfleet import settings
from hyperfleet.telemetry import logging


class _Out:
    def __init__(self, buffer: io.BytesIO) -> None:
        self.buffer = buffer


def again(out: io.BytesIO, configured: settings.Logging) -> None:
    """Sets the logs up once more; pytest puts its own stdout back between a fixture and its test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", _Out(out))
        logging.configure(configured, version="1", hostname="here")


@pytest.fixture
def out() -> Iterator[io.BytesIO]:
    handlers = standard.getLogger().handlers
    buffer = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", _Out(buffer))
        logging.configure(settings.Logging(level="debug"), version="1.2.3", hostname="here")
    yield buffer
    structlog.reset_defaults()
    standard.getLogger().handlers = handlers


def lines(out: io.BytesIO) -> list[dict[str, Any]]:
    logging.drain()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_record_is_one_json_object_on_one_line(out: io.BytesIO) -> None:
    logging.get("part").info("it\nhappened", count=2, text="a\nb\x1b")
    [record] = lines(out)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "level": "info",
        "message": "it\nhappened",
        "component": "part",
        "version": "1.2.3",
        "hostname": "here",
        "count": 2,
        "text": "a\nb\x1b",
    }
    assert b"\x1b" not in out.getvalue()


def test_the_request_id_joins_every_record_of_its_request_and_no_other(out: io.BytesIO) -> None:
    token = logging.REQUEST_ID.set("abc")
    logging.get("part").info("inside")
    standard.getLogger("library").warning("inside too")
    logging.REQUEST_ID.reset(token)
    logging.get("part").info("outside")
    assert [record.get("request_id") for record in lines(out)] == ["abc", "abc", None]


SECRETS = ["password", "Authorization", "api_key", "x-api-key", "db_password", "accessToken"]
SPELLED_OTHERWISE = ["privateKey", "apiKey", "accessKey", "kubeconfig", "API-KEY", "tls.key", "pullSecret", "x_Api-kEy"]


@pytest.mark.parametrize("name", [*SECRETS, *SPELLED_OTHERWISE])
def test_secrets_are_masked_at_any_depth(out: io.BytesIO, name: str) -> None:
    logging.get("part").info("secret", **{name: "s3cret", "deep": {"list": [{name: "s3cret"}], "plain": "kept"}})
    [record] = lines(out)
    assert b"s3cret" not in out.getvalue()
    assert record["deep"]["plain"] == "kept"


def test_what_is_nested_too_deep_is_masked_whole(out: io.BytesIO) -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"in": deep}
    logging.get("part").info("deep", deep=deep)
    assert b"bottom" not in out.getvalue()
    assert len(lines(out)) == 1


def test_a_lone_surrogate_is_written_escaped_and_loses_no_line(out: io.BytesIO) -> None:
    logging.get("part").info("odd", text="\ud800", count=1)
    [record] = lines(out)
    assert (record["text"], record["count"], record["message"]) == ("\\ud800", 1, "odd")


def test_an_exception_is_told_with_its_traceback(out: io.BytesIO) -> None:
    try:
        raise LookupError("what was looked up")
    except LookupError:
        logging.get("part").exception("failed")
    [record] = lines(out)
    assert record["level"] == "error"
    assert "what was looked up" in record["traceback"]


def test_records_of_libraries_go_the_same_way(out: io.BytesIO) -> None:
    standard.getLogger("library").warning("said %s", "this")
    [record] = lines(out)
    assert (record["message"], record["component"], record["level"]) == ("said this", "library", "warning")


def test_records_below_the_level_are_not_written(out: io.BytesIO) -> None:
    again(out, settings.Logging(level="warning"))
    logging.get("part").info("quiet")
    logging.get("part").warning("loud")
    assert [record["message"] for record in lines(out)] == ["loud"]


def test_text_for_people_has_one_line_a_record_whatever_is_in_it(out: io.BytesIO) -> None:
    again(out, settings.Logging(format="text"))
    logging.get("part").info("it\nhappened", text="\ud800\x1b[31m", password="s3cret")
    logging.drain()
    assert out.getvalue().count(b"\n") == 1
    assert b"\x1b" not in out.getvalue()
    assert b"s3cret" not in out.getvalue()


def test_a_library_whose_arguments_do_not_fit_its_text_is_not_failed_by_the_log(out: io.BytesIO) -> None:
    # Not through a logger: pytest's own handler beside ours fails the caller.
    record_of_library = standard.LogRecord("library", standard.WARNING, "", 0, "%d things", ("no number",), None)
    standard.getLogger().handlers[0].handle(record_of_library)
    [record] = lines(out)
    assert "%d things" in record["message"]
    assert "no number" in record["message"]


def test_an_object_that_cannot_describe_itself_fails_no_event(out: io.BytesIO) -> None:
    class Broken:
        def __str__(self) -> str:
            raise LookupError

    logging.get("part").info("broken", thing=Broken())
    [record] = lines(out)
    assert "Broken" in record["thing"]


def test_a_secret_of_the_settings_is_masked_under_any_name(out: io.BytesIO) -> None:
    secret = settings.Secret("s3cret")
    logging.get("part").info("named innocently", word=secret, words=[secret], more={"word": secret})
    assert len(lines(out)) == 1
    assert b"s3cret" not in out.getvalue()


def test_a_traceback_for_people_cannot_command_their_terminal(out: io.BytesIO) -> None:
    again(out, settings.Logging(format="text"))
    try:
        raise LookupError("what\x1b[2Jever\rhidden")
    except LookupError:
        logging.get("part").exception("failed")
    logging.drain()
    assert b"\x1b" not in out.getvalue()
    assert b"\r" not in out.getvalue()
    assert b"LookupError: what\\x1b[2Jever\\rhidden" in out.getvalue()


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("format", ["auto", "text"])
def test_a_terminal_gets_text_with_colors(format: str, out: io.BytesIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = _Terminal()
    again(terminal, settings.Logging(format=format))
    logging.get("part").warning("it happened", text="\x1b[31mred", name="a")
    logging.drain()
    [line] = terminal.getvalue().decode().splitlines()
    assert "\x1b[33mWARNING" in line
    assert "part: it happened" in line
    assert "\x1b[31m" not in line


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_colors_are_left_out_for_terminals_and_users_that_do_not_take_them(
    variables: dict[str, str], out: io.BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = _Terminal()
    again(terminal, settings.Logging())
    logging.get("part").warning("it happened")
    logging.drain()
    assert b"part: it happened" in terminal.getvalue()
    assert b"\x1b" not in terminal.getvalue()


def test_json_goes_to_a_terminal_that_asks_for_it_and_by_default_to_everything_else(out: io.BytesIO) -> None:
    terminal = _Terminal()
    again(terminal, settings.Logging(format="json"))
    logging.get("part").info("one")
    [record] = lines(terminal)
    assert record["message"] == "one"
    again(out, settings.Logging())
    logging.get("part").info("two")
    assert lines(out)[-1]["message"] == "two"
