"""How many may be in, and by which address they are counted."""

from ipaddress import ip_network

import pytest

from repack_dashboard.doors import Doors, Guest, client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # it is no proxy of ours, whatever it says
        ("10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the left part was the client's own claim
        ("10.1.1.1", "198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("10.1.1.1", "10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "nonsense", "10.1.1.1"),
        ("10.1.1.1", None, "10.1.1.1"),
        ("::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        (None, None, ""),
    ],
)
def test_only_configured_proxies_are_believed(peer: str | None, forwarded: str | None, address: str) -> None:
    assert client_address(peer, forwarded, trusted=PROXIES) == address


def test_each_limit_has_its_code_and_whoever_leaves_makes_room() -> None:
    doors = Doors(in_all=3, per_address=2, per_user=1)
    ann, bob, far = Guest("a", "ann"), Guest("a", "bob"), Guest("b")
    assert doors.enter(ann) is None
    assert doors.enter(Guest("b", "ann")).code == 4505  # type: ignore[union-attr]
    assert doors.enter(bob) is None
    assert doors.enter(Guest("a")).reason == "too many connections of your address"  # type: ignore[union-attr]
    assert doors.enter(far) is None
    assert doors.enter(Guest("c")).code == 4029  # type: ignore[union-attr]
    doors.leave(bob)
    assert doors.enter(Guest("a", "bob")) is None
    for guest in (ann, bob, far):
        doors.leave(guest)
    assert (doors._addresses, doors._users) == ({}, {})  # nothing is kept of who has gone


def test_whoever_has_no_name_is_counted_by_address_alone() -> None:
    doors = Doors(in_all=10, per_address=None, per_user=1)
    assert [doors.enter(Guest("a")) for _ in range(5)] == [None] * 5
