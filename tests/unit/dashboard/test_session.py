"""One client's protocol, without a socket."""

import pytest

from repack_contract.messages import ErrorMessage, Pong, Unsubscribed
from repack_dashboard.session import Bucket, Close, Join, Leave, Ponged, Reply, Session, open_session


def a_session(*, is_v1: bool = True, messages_per_second: float = 1000) -> Session:
    return Session(is_v1=is_v1, own_channel="tasks", messages_per_second=messages_per_second)


@pytest.mark.parametrize(
    ("version", "subprotocols", "is_v1"),
    [(None, [], False), ("1", [], True), (None, ["taskws.v1"], True), (None, ["graphql-ws"], False)],
)
def test_version_1_is_spoken_only_with_who_asks_for_it(
    version: str | None, subprotocols: list[str], is_v1: bool
) -> None:
    opening = open_session(version=version, since=None, epoch=None, subprotocols=subprotocols)
    assert (opening.is_v1, opening.refusal) == (is_v1, None)


def test_another_version_is_refused_for_good() -> None:
    opening = open_session(version="2", since=None, epoch=None, subprotocols=[])
    assert opening.refusal is not None
    assert opening.refusal.code == 4506


def test_only_the_protocol_is_echoed_never_the_token_beside_it() -> None:
    offered = ["base64url.bearer.taskws.c2VjcmV0", "taskws.v1"]
    assert open_session(version=None, since=None, epoch=None, subprotocols=offered).subprotocol == "taskws.v1"


@pytest.mark.parametrize(
    ("since", "position"), [("7", 7), ("-1", None), ("x", None), ("9" * 40, None), ("²", None), (None, None)]
)
def test_a_position_that_is_no_number_is_no_position(since: str | None, position: int | None) -> None:
    assert open_session(version="1", since=since, epoch="e", subprotocols=[]).since == position


def test_pings_are_answered_with_their_id_and_pongs_are_noted() -> None:
    session = a_session()
    assert session.receive('{"type":"ping","id":4}', now=0) == [Reply(Pong(id=4))]
    assert session.receive('{"type":"ping","timestamp":1}', now=0) == [Reply(Pong())]
    assert session.receive('{"type":"pong","id":9}', now=0) == [Ponged(9)]


def test_a_client_joins_and_leaves_channels() -> None:
    session = a_session()
    wish = '{"type":"subscribe","id":1,"channel":"task:u","since":3,"epoch":"e"}'
    assert session.receive(wish, now=0) == [Join("task:u", 3, "e", 1)]
    leave = session.receive('{"type":"unsubscribe","id":2,"channel":"task:u"}', now=0)
    assert leave == [Leave("task:u"), Reply(Unsubscribed(id=2, channel="task:u"))]


def test_channels_are_known_and_few() -> None:
    session = a_session()
    (unknown,) = session.receive('{"type":"subscribe","channel":"users"}', now=0)
    assert isinstance(unknown, Reply)
    assert isinstance(unknown.message, ErrorMessage)
    assert unknown.message.code == "unknown_channel"
    answers = [session.receive(f'{{"type":"subscribe","channel":"task:{n}"}}', now=0)[0] for n in range(128)]
    assert all(isinstance(answer, Join) for answer in answers[:127])
    assert isinstance(answers[127], Reply)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type":"auth"}', '{"type":"ping","id":"x"}', "[" * 100_000])
def test_nonsense_is_answered_to_version_1_and_ignored_of_others(text: str) -> None:
    (answer,) = a_session().receive(text, now=0)
    assert isinstance(answer, Reply)
    assert isinstance(answer.message, ErrorMessage)
    assert a_session(is_v1=False).receive(text, now=0) == []


def test_a_client_of_the_base_contract_can_ping_and_nothing_else() -> None:
    session = a_session(is_v1=False)
    assert session.receive('{"type":"subscribe","channel":"tasks"}', now=0) == []
    assert session.receive('{"type":"ping"}', now=0) == [Reply(Pong())]


def test_too_many_messages_end_the_connection_and_a_steady_pace_does_not() -> None:
    session = a_session(messages_per_second=2)
    answers = [session.receive('{"type":"pong"}', now=0)[0] for _ in range(5)]
    assert [type(answer) for answer in answers] == [Ponged] * 4 + [Close]
    bucket = Bucket(2)
    assert all(bucket.take(now=step / 2) for step in range(100))
