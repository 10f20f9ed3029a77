"""Routing: the same key is always on the same side, and shares are as large as they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from modelserving.speculative.policy import Policy
from modelserving.speculative.routing import route
from tests.speculative.cases import policy

KEYS = [b"customer-%d" % number for number in range(20_000)]


def canary_side(stated: Policy, keys: list[bytes] = KEYS) -> set[bytes]:
    voting = route(stated, keys).voting[0]
    return {key for key, on_side in zip(keys, voting, strict=True) if on_side}


def stated(canary: float = 0.0, shadow: float = 0.0, name: str = "new") -> Policy:
    return policy("champion", "second", challengers=(name, "other"), canary=canary, shadow=shadow)


def test_without_challengers_all_decide_on_all() -> None:
    routes = route(policy("a", "b"), KEYS[:3])
    assert routes.models == ("a", "b")
    assert routes.asked.all()
    assert routes.voting.all()
    assert [(model, rows.tolist()) for model, rows in routes.questions()] == [("a", [0, 1, 2]), ("b", [0, 1, 2])]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_shares_are_accurate(share: float) -> None:
    routes = route(stated(canary=share, shadow=share / 2), KEYS)
    on_canary, in_shadow = routes.voting[0].mean(), (routes.asked & ~routes.voting)[3].mean()
    # Five standard deviations of a share of 20,000.
    for measured, wanted in ((on_canary, share), (in_shadow, share / 2)):
        assert measured == pytest.approx(wanted, abs=5 * np.sqrt(wanted * (1 - wanted) / len(KEYS)))


def test_the_two_draws_have_nothing_to_do_with_each_other() -> None:
    routes = route(stated(canary=0.5, shadow=0.5), KEYS)
    both = (routes.voting[0] & routes.asked[3]).mean()
    assert both == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / len(KEYS)))


def test_a_key_stays_on_its_side() -> None:
    small, large = canary_side(stated(canary=0.1)), canary_side(stated(canary=0.3))
    assert canary_side(stated(canary=0.1)) == small
    assert small < large
    assert canary_side(stated(canary=0.1), list(reversed(KEYS))) == small


def test_another_challenger_has_other_keys() -> None:
    one, other = canary_side(stated(canary=0.1)), canary_side(stated(canary=0.1, name="newer"))
    assert len(one & other) < len(one) / 2


def test_sides_never_change_between_releases() -> None:
    """As they were when this was written: instances of two releases may run side by side."""
    least = [
        min(share for share in range(1, 101) if key in canary_side(stated(share / 100), [key])) for key in KEYS[:6]
    ]
    assert least == [87, 99, 34, 69, 68, 35]


def test_all_or_none() -> None:
    everyone, nobody = route(stated(canary=1.0), KEYS[:9]), route(stated(canary=0.0, shadow=1.0), KEYS[:9])
    assert everyone.voting[0].all()
    assert not everyone.asked[1].any()
    assert not nobody.voting[0].any()
    assert nobody.asked.all()


def test_who_is_asked_and_who_decides() -> None:
    """Of all records: one of champion and canary decides, and in the shadow all that do not decide are asked."""
    routes = route(stated(canary=0.3, shadow=0.3), KEYS)
    on_canary, in_shadow = routes.voting[0], routes.asked[3]
    assert routes.models == ("new", "champion", "second", "other")
    assert (routes.voting[1] == ~on_canary).all()
    assert routes.voting[2].all()
    assert not routes.voting[3].any()
    assert (routes.asked[0] == (on_canary | in_shadow)).all()
    assert (routes.asked[1] == (~on_canary | in_shadow)).all()


def test_no_records() -> None:
    assert route(stated(canary=0.5), []).asked.shape == (4, 0)
