"""Both sides read the very same messages: these files are compared here and read by the page's own tests."""

import json
from typing import get_args

import pytest
from pydantic import TypeAdapter

from golden_messages import CLIENT, FILES, FOLDER, SERVER, text
from repack_contract.messages import ClientMessage, ServerMessage

WRITE = "run `.venv/bin/python tests/golden_messages.py` if the change was meant"


@pytest.mark.parametrize("name", FILES)
def test_a_message_travels_as_it_did(name: str):
    path = FOLDER / name
    assert path.exists(), WRITE
    assert path.read_text(encoding="utf-8") == text(FILES[name]), WRITE


def test_no_file_is_left_of_a_message_that_is_gone():
    assert {path.name for side in ("client", "server") for path in FOLDER.glob(f"{side}-*.json")} == set(FILES), WRITE


def test_every_type_of_message_has_a_file():
    assert {type(each) for each in SERVER.values()} == set(get_args(ServerMessage))
    assert {type(each) for each in CLIENT.values()} == set(get_args(get_args(ClientMessage)[0]))


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("client")])
def test_the_server_understands_what_the_file_says_that_a_page_sends(name: str):
    written = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    understood = TypeAdapter(ClientMessage).validate_python(written)
    assert understood == FILES[name]
