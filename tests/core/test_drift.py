from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.drift import UNREAD, Cause, Facts, Sighting, Verdict, causes_between, detail_of, judge
from hybrid.core.fingerprint import Fingerprint, facts_of
from hybrid.core.state import Body, Group, Hash, KeyState, List, Pending, Set, Stream, String, ZSet

NOW = 1_000_000


def facts(kind: str = "string", content: bytes = b"v", expires_at_ms: int | None = None, groups: bytes = b"") -> Facts:
    return Facts(kind, content, expires_at_ms, 3, groups)


def look(local: Facts | None, cloud: Facts | None) -> Sighting:
    return Sighting(local, cloud, NOW, NOW)


@pytest.mark.parametrize(
    ("local", "cloud", "causes"),
    [
        (facts(), facts(), ()),
        (None, None, ()),
        (facts(), None, (Cause.ONLY_LOCAL,)),
        (None, facts(), (Cause.ONLY_CLOUD,)),
        (facts(), facts("list"), (Cause.TYPE,)),
        (facts(), facts(content=b"w"), (Cause.VALUE,)),
        (facts("stream"), facts("stream", groups=b"g"), (Cause.STREAM_GROUP,)),
        (facts(), facts(expires_at_ms=9), (Cause.TTL,)),
        (facts(expires_at_ms=5000), facts(expires_at_ms=6000), ()),
        (facts(expires_at_ms=5000), facts(content=b"w", expires_at_ms=6001), (Cause.VALUE, Cause.TTL)),
        (facts(), facts("list", expires_at_ms=9), (Cause.TYPE, Cause.TTL)),
        # gone on one side a moment before the other
        (facts(expires_at_ms=NOW + 900), None, ()),
        (None, facts(expires_at_ms=NOW - 1), ()),
        (facts(expires_at_ms=NOW + 1100), None, (Cause.ONLY_LOCAL,)),
    ],
)
def test_causes(local: Facts | None, cloud: Facts | None, causes: tuple[Cause, ...]) -> None:
    assert causes_between(look(local, cloud)) == causes
    assert not causes or detail_of(causes, local, cloud)


def verdicts(*looks: Sighting, logged: frozenset[int] = frozenset()) -> list[Verdict]:
    before, steady, found = None, 0, []
    for number, sighting in enumerate(looks):
        verdict, steady = judge(sighting, before, steady, logged=number in logged)
        before = sighting
        found.append(verdict)
    return found


def test_drift_is_confirmed_when_it_stood_still() -> None:
    drift = look(facts(), facts(content=b"w"))
    assert verdicts(drift, drift, drift) == [Verdict.SUSPECT, Verdict.SUSPECT, Verdict.CONFIRMED]


def test_a_key_that_one_side_lacks_need_not_be_read_at_the_first_look() -> None:
    first, alone, differ = look(UNREAD, None), look(facts(), None), look(facts(), facts(content=b"w"))
    assert verdicts(first, alone, alone)[-1] is Verdict.CONFIRMED
    assert verdicts(first, alone, look(facts(content=b"w"), None))[-1] is Verdict.SUSPECT
    assert verdicts(first, differ, differ)[-1] is Verdict.SUSPECT


def test_what_moves_is_never_confirmed() -> None:
    moving = [look(facts(content=b"%d" % n), facts(content=b"%d" % (n - 1))) for n in range(9)]
    assert set(verdicts(*moving)) == {Verdict.SUSPECT}


def test_what_catches_up_is_equal() -> None:
    behind, caught_up = look(facts(content=b"w"), facts()), look(facts(content=b"w"), facts(content=b"w"))
    assert verdicts(behind, behind, caught_up)[-1] is Verdict.EQUAL


def test_what_the_log_names_is_in_flight_and_begins_anew_afterwards() -> None:
    drift = look(facts(), None)
    assert verdicts(drift, drift, drift, drift, drift, logged=frozenset({1, 2})) == [
        Verdict.SUSPECT,
        Verdict.IN_FLIGHT,
        Verdict.IN_FLIGHT,
        Verdict.SUSPECT,
        Verdict.CONFIRMED,
    ]


def test_an_expiry_known_only_as_time_left_still_counts_as_standing_still() -> None:
    looks = [look(facts(expires_at_ms=9_000_000 + jitter), facts(content=b"w")) for jitter in (0, 1, -1)]
    assert verdicts(*looks)[-1] is Verdict.CONFIRMED


def fingerprint(body: Body) -> bytes:
    return facts_of(KeyState("kind", None, body)).fingerprint


@given(st.lists(st.binary(max_size=20)), st.integers(0, 30))
def test_a_fingerprint_is_a_sum_that_pieces_add_up_to(elements: list[bytes], cut: int) -> None:
    whole = Fingerprint().add(elements).value
    assert Fingerprint().add(elements[:cut]).add(elements[cut:]).value == whole
    assert Fingerprint().add(random.Random(1).sample(elements, len(elements))).value == whole


def test_fingerprints_tell_content_apart() -> None:
    bodies: list[Body] = [
        String(b""),
        String(b"v"),
        String(b"v" * 20_000),
        String(b"v" * 20_001),
        Hash({b"a": b"bc"}, {}),
        Hash({b"ab": b"c"}, {}),
        Hash({b"ab": b"c"}, {b"ab": 5}),
        List((b"a", b"b")),
        List((b"b", b"a")),
        List((b"a", b"a")),
        Set(frozenset({b"a", b"b"})),
        ZSet({b"a": b"1"}),
        ZSet({b"a": b"1.5"}),
        stream(),
        stream(last_id=b"2-0"),
    ]
    assert len({fingerprint(body) for body in bodies}) == len(bodies)


def test_fingerprints_do_not_see_what_is_no_difference() -> None:
    assert fingerprint(ZSet({b"a": b"0.1", b"b": b"-0"})) == fingerprint(
        ZSet({b"b": b"0", b"a": b"0.10000000000000001"})
    )
    assert fingerprint(Hash({b"a": b"1", b"b": b"2"}, {})) == fingerprint(Hash({b"b": b"2", b"a": b"1"}, {}))
    head = b"HYLL\x00\x00\x00\x00"
    assert fingerprint(String(head + b"cached!!" + b"rest")) == fingerprint(String(head + b"CACHED!!" + b"rest"))


def stream(last_id: bytes = b"1-0", group: Group | None = None) -> Stream:
    return Stream(((b"1-0", (b"f", b"v")),), last_id, 1, b"0-0", {b"g": group} if group else {})


def test_the_groups_of_a_stream_have_a_fingerprint_of_their_own() -> None:
    group = Group(b"1-0", 1, frozenset({b"ann"}), (Pending(b"1-0", b"ann", 60_000, 1),))
    other = Group(b"1-0", 1, frozenset({b"ann"}), (Pending(b"1-0", b"ann", 60_000, 2),))
    states = [KeyState("stream", None, stream(group=it)) for it in (None, group, other)]
    found = [facts_of(state) for state in states]
    assert len({it.groups for it in found}) == 3 and found[0].groups == b""
    assert len({it.fingerprint for it in found}) == 1
