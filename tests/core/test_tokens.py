"""What a shipper's last word says, and when it may be believed."""

from __future__ import annotations

import pytest

from hybrid.core.authority import Authority, Holder
from hybrid.core.outcomes import Fate
from hybrid.core.tokens import EARLY_SEAL_S, KEPT_WIRES, Seal, Shipped, token

LOCAL_3, CLOUD_4 = Authority(Holder.LOCAL, 3), Authority(Holder.CLOUD, 4)
PLACE = (7, 1)


def test_the_last_token_of_a_wire_answers_for_those_before() -> None:
    shipped = Shipped()
    shipped.note(token(b"aaaaaaaa", 3))
    assert shipped.holds(token(b"aaaaaaaa", 2))
    assert not shipped.holds(token(b"aaaaaaaa", 4))
    assert not shipped.holds(token(b"bbbbbbbb", 1))


def test_the_wires_heard_of_least_lately_are_forgotten() -> None:
    shipped = Shipped()
    for number in range(KEPT_WIRES + 1):
        shipped.note(token(b"%08x" % number, 1))
    assert not shipped.holds(token(b"%08x" % 0, 1))
    assert shipped.holds(token(b"%08x" % KEPT_WIRES, 1))


@pytest.mark.parametrize("shipped", [Shipped(), Shipped({b"aaaaaaaa": token(b"aaaaaaaa", 3)})])
def test_a_seal_is_read_as_it_was_written(shipped: Shipped) -> None:
    seal = Seal(CLOUD_4, 4, PLACE, (8, 0), shipped)
    assert Seal.parse(seal.packed).packed == seal.packed
    held = Seal(Authority(Holder.CLOUD, 4, held=True), 4, PLACE, (8, 0))
    assert Seal.parse(held.packed).under == held.under


def test_a_seal_says_nothing_of_what_was_sent_before_its_shipper_began() -> None:
    shipped = Shipped({b"aaaaaaaa": token(b"aaaaaaaa", 3)})
    seal = Seal.parse(Seal(CLOUD_4, 4, PLACE, PLACE, shipped, covers_s=1.5).packed)
    assert seal.fate(token(b"aaaaaaaa", 3), 9.0) is Fate.SHIPPED
    assert seal.fate(token(b"aaaaaaaa", 4), 1.5) is Fate.UNSHIPPED
    assert seal.fate(token(b"aaaaaaaa", 4), 1.6) is Fate.UNKNOWN


@pytest.mark.parametrize(
    ("under", "authority", "age_s", "valid"),
    [
        (CLOUD_4, CLOUD_4, 60.0, True),
        (CLOUD_4, CLOUD_4.succeeded_by(Holder.HANDOVER), 0.0, True),
        (CLOUD_4, Authority(Holder.LOCAL, 6), 0.0, False),
        (CLOUD_4, LOCAL_3, 0.0, False),
        (LOCAL_3, LOCAL_3, 0.0, False),
        (LOCAL_3, CLOUD_4, 0.0, True),
        (LOCAL_3, CLOUD_4, EARLY_SEAL_S, False),
        # The shipper found the local store alive, and made its early seal void by an epoch of its own.
        (LOCAL_3, Authority(Holder.CLOUD, 5), 0.0, False),
    ],
)
def test_when_a_seal_may_be_believed(under: Authority, authority: Authority, age_s: float, valid: bool) -> None:
    assert Seal(under, 4, PLACE, PLACE).is_valid(authority, age_s) is valid


def test_what_is_noted_out_of_order_is_not_forgotten() -> None:
    shipped = Shipped()
    for number in (5, 3):
        shipped.note(token(b"aaaaaaaa", number))
    assert shipped.holds(token(b"aaaaaaaa", 5))
