"""How long a server is waited for: a head until its deadline, a body while it has the pace that is asked for."""

import pytest

from repack_worker.download import CutError
from repack_worker.patience import Patience


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def patience(settings, clock):
    return Patience(settings.but(stall_seconds=10, min_bytes_per_second=100), clock)


def test_each_byte_of_a_head_may_take_its_time_but_all_of_them_only_until_the_deadline(patience, clock):
    patience.begin_head(clock.now + 20)
    assert patience.seconds() == 10
    clock.now += 15
    patience.came(1)
    assert patience.seconds() == 5
    clock.now += 5
    with pytest.raises(TimeoutError):
        patience.seconds()
    assert patience.came_bytes == 1


def test_a_body_that_drips_is_as_good_as_none(patience, clock):
    patience.begin_head(clock.now + 20)
    clock.now += 19
    patience.begin_body()
    for _ in range(9):
        clock.now += 1
        patience.came(50)
    clock.now += 1
    with pytest.raises(CutError, match="only 500 bytes came within 10 s"):
        patience.came(50)


def test_a_body_may_be_slow_and_long_and_silent_between(patience, clock):
    patience.begin_head(clock.now + 20)
    patience.begin_body()
    for _ in range(100):
        clock.now += 9.5
        assert patience.seconds() == 10
        patience.came(1000)
        patience.begin_body()
