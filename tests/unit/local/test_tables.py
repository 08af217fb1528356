"""Ages and paths of printer columns."""

from typing import Any

import pytest

from repack_local.api.tables import duration, json_path

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-3, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (9 * HOUR + 5 * MINUTE, "9h"),
        (47 * HOUR, "47h"),
        (2 * DAY + 3 * HOUR, "2d3h"),
        (9 * DAY + 3 * HOUR, "9d"),
        (729 * DAY, "729d"),
        (731 * DAY, "2y1d"),
        (9 * 365 * DAY + 5 * DAY, "9y"),
    ],
)
def test_a_length_of_time_is_shown_as_kubectl_shows_it(seconds: int, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".a.b", 1),
        (".a.nothing.more", None),
        (".list[0].uri", "x"),
        (".list[5].uri", None),
        ('.list[?(@.type=="Ready")].uri', "y"),
        (".a.b.c", None),
    ],
)
def test_a_column_shows_what_its_path_points_at(path: str, value: Any) -> None:
    obj = {"a": {"b": 1}, "list": [{"uri": "x"}, {"type": "Ready", "uri": "y"}]}
    assert json_path(obj, path) == value
