"""Access rules: each verb, each kind, each form of a rule, allowed and not allowed."""

from typing import Any

import pytest

from hyperfleet.model.caller import Attributes, Caller
from hyperfleet.model.rules.permission import DEFAULT, VERBS, BadRules, Permissions, Rule, Verb

KINDS = ("Cluster", "NodePool", "Channel")
MARY = Caller(
    "mary@example.com",
    "https://sso.example.com",
    lambda: Attributes(("dev", "ops"), {"level": 3, "org": {"id": "a"}, "big": 2**70}),
    tenancy=(("org", "a"),),
)
SENTINEL = Caller("sentinel", is_system=True)


def granted(*rules: Rule, caller: Caller = MARY) -> set[tuple[Verb, str]]:
    kinds = Permissions(rules, KINDS).grants(caller).kinds
    return {(verb, kind) for verb, names in kinds.items() for kind in names}


EVERYTHING = {(verb, kind) for verb in VERBS for kind in KINDS}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holds", [True, False])
def test_a_rule_allows_its_verbs_on_its_kinds_to_matching_callers(verb: Verb, kind: str, holds: bool) -> None:
    when = f"caller.identity {'==' if holds else '!='} 'mary@example.com'"
    one = granted(Rule("one", (verb,), (kind,), when))
    assert one == ({(verb, kind)} if holds else set())
    assert granted(Rule("verbs", ("*",), (kind,), when)) == ({(each, kind) for each in VERBS} if holds else set())
    assert granted(Rule("kinds", (verb,), ("*",), when)) == ({(verb, each) for each in KINDS} if holds else set())
    assert granted(Rule("all", ("*",), ("*",), when)) == (EVERYTHING if holds else set())


def test_a_verb_is_allowed_if_any_rule_allows_it() -> None:
    rules = (
        Rule("a", ("read",), ("Cluster",), "true"),
        Rule("b", ("read", "delete"), ("Cluster", "Channel"), "'ops' in caller.groups"),
        Rule("c", ("*",), ("*",), "'admin' in caller.groups"),
    )
    wanted = {("read", "Cluster"), ("read", "Channel"), ("delete", "Cluster"), ("delete", "Channel")}
    assert granted(*rules) == wanted
    assert Permissions(rules, KINDS).grants(MARY).applied == ("a", "b")


@pytest.mark.parametrize(
    "when",
    [
        "caller.issuer == 'https://sso.example.com'",
        "caller.claims.level >= 3 && caller.claims.org.id == 'a'",
        "dig(caller.claims, 'org.id') == 'a'",
        "caller.claims.big > 1e20",
        "caller.tenancy.org == 'a' && !caller.system",
        "caller.groups.exists(group, group.startsWith('de'))",
    ],
)
def test_a_rule_sees_everything_known_about_the_caller(when: str) -> None:
    assert granted(Rule("one", ("read",), ("*",), when)) == {("read", kind) for kind in KINDS}


def test_a_failing_rule_allows_nothing_and_is_reported() -> None:
    rules = (Rule("broken", ("*",), ("*",), "caller.claims.nope == 1"), Rule("sound", ("read",), ("Cluster",), "true"))
    grants = Permissions(rules, KINDS).grants(MARY)
    assert grants.kinds["read"] == {"Cluster"}
    assert not any(names for verb, names in grants.kinds.items() if verb != "read")
    [failure] = grants.failed
    assert failure.rule == "broken"
    assert "nope" in failure.reason


def test_by_default_only_administrators_force_delete() -> None:
    usual = {(verb, kind) for verb, kind in EVERYTHING if verb != "force-delete"}
    assert granted(*DEFAULT) == usual
    assert granted(*DEFAULT, caller=Caller("a", attributes=lambda: Attributes(("hyperfleet-admins",)))) == usual
    assert granted(*DEFAULT, caller=Caller("a", attributes=lambda: Attributes(("x", "hyperfleet-admin")))) == EVERYTHING


def test_a_system_caller_is_distinguished() -> None:
    rule = Rule("system", ("read",), ("*",), "caller.system")
    assert granted(rule) == set()
    assert granted(rule, caller=SENTINEL) == {("read", kind) for kind in KINDS}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], ["the list of rules is empty"]),
        ([Rule("a", (), ("*",), "true")], ["has no verb"]),
        ([Rule("a", ("*",), (), "true")], ["has no kind"]),
        ([Rule("a", ("get",), ("Clusters",), "true")], ["'get' is not a verb", "'Clusters' is not a kind"]),
        ([Rule("a", ("*",), ("*",), "true")] * 2, ["appears twice"]),
        ([Rule("a", ("*",), ("*",), "resource.x")], ["undeclared reference to 'resource.x'"]),
        (
            [Rule("a", ("*",), ("*",), "'x'"), Rule("b", ("*",), ("*",), "1 +")],
            ["evaluates to a string", "Syntax error"],
        ),
    ],
)
def test_every_mistake_in_the_rules_is_reported_at_once(rules: Any, words: list[str]) -> None:
    with pytest.raises(BadRules) as refused:
        Permissions(rules, KINDS)
    assert len(refused.value.mistakes) == len(words)
    for mistake, word in zip(refused.value.mistakes, words, strict=True):
        assert word in mistake
