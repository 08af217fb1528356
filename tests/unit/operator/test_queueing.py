"""The order of waiting tasks, by a plain model and by simulated bursts."""

import heapq
import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repack_operator.queueing import FairQueue, Key, Limits


class Time:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def a_queue(*, time: Time | None = None, **limits: object) -> FairQueue:
    return FairQueue(Limits(**{"total": 1, **limits}), now=time or Time())  # type: ignore[arg-type]


def served(queue: FairQueue, number: int) -> list[Key]:
    keys = []
    for _ in range(number):
        key = queue.next()
        assert key is not None
        queue.started(key)
        keys.append(key)
    return keys


def fill(queue: FairQueue, **namespaces: int) -> None:
    numbers = count()
    for namespace, tasks in namespaces.items():
        for _ in range(tasks):
            number = next(numbers)
            queue.enter((namespace, f"t{number:05}"), priority=0, since=float(number))


def jain(shares: list[float]) -> float:
    """Jain's index of fairness: 1 when all shares are equal, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def test_namespaces_take_turns_however_many_tasks_each_has() -> None:
    queue = a_queue()
    fill(queue, many=100, few=3)

    assert Counter(namespace for namespace, _ in served(queue, 6)) == {"many": 3, "few": 3}


def test_a_namespace_of_weight_three_starts_three_times_as_often() -> None:
    queue = a_queue(weights={"heavy": 3.0})
    fill(queue, heavy=100, light=100)

    assert Counter(namespace for namespace, _ in served(queue, 40)) == {"heavy": 30, "light": 10}


def test_a_namespace_that_was_idle_saved_nothing_up() -> None:
    queue = a_queue()
    fill(queue, busy=100)
    served(queue, 50)
    fill(queue, late=50)

    assert Counter(namespace for namespace, _ in served(queue, 20))["late"] in {10, 11}


def test_a_low_priority_task_is_not_passed_for_ever() -> None:
    time = Time()
    queue = a_queue(time=time, ageing_limit=100)
    queue.enter(("team", "patient"), priority=-5, since=time.now)
    for minute in range(20):
        time.now += 60
        queue.enter(("team", f"urgent-{minute}"), priority=0, since=time.now)
        if served(queue, 1) == [("team", "patient")]:
            break

    assert minute == 4  # five minutes old, and at five minutes' age as urgent as a new one


def test_waiting_raises_a_priority_only_up_to_its_limit() -> None:
    time = Time()
    queue = a_queue(time=time, ageing_limit=10)
    queue.enter(("team", "old"), priority=0, since=time.now)
    time.now += 3600
    queue.enter(("team", "urgent"), priority=11, since=time.now)
    queue.enter(("team", "less"), priority=9, since=time.now)

    assert [name for _, name in served(queue, 3)] == ["urgent", "old", "less"]


ENTRIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-3, 3), st.integers(0, 900), st.booleans()), min_size=1, max_size=25
)


@given(entries=ENTRIES, limit=st.integers(0, 5), weight=st.sampled_from([1.0, 2.0, 0.5]))
def test_the_order_is_that_of_a_plain_model(entries: list, limit: int, weight: float) -> None:
    time = Time()
    limits = Limits(total=1, weights={"a": weight}, ageing_limit=limit)
    queue = FairQueue(limits, now=time)
    waiting: dict[Key, tuple[int, float]] = {}
    for number, (namespace, priority, age, leaves) in enumerate(entries):
        key = (namespace, f"t{number}")
        queue.enter(key, priority=priority, since=time.now - age)
        waiting[key] = (priority, time.now - age)
        if leaves:
            queue.leave(key)
            del waiting[key]

    assert len(queue) == len(waiting)
    expected = _plain_order(waiting, limits, time.now)
    assert queue.in_order(100) == expected
    for place, key in enumerate(expected, start=1):
        # Two namespaces at one price may take either turn first: a place may be off by one for each other namespace.
        assert abs(queue.position(key) - place) <= 2
    assert served(queue, len(waiting)) == expected


def _plain_order(waiting: dict[Key, tuple[int, float]], limits: Limits, now: float) -> list[Key]:
    def urgency(key: Key) -> float:
        priority, since = waiting[key]
        return priority + min((now - since) / 60, limits.ageing_limit)

    lines: dict[str, list[Key]] = {}
    for key in sorted(waiting, key=lambda key: (-round(urgency(key), 6), waiting[key][1], waiting[key][0], key)):
        lines.setdefault(key[0], []).append(key)
    paid = dict.fromkeys(lines, 0.0)
    order = []
    while lines:
        name = min(lines, key=lambda n: (paid[n], waiting[lines[n][0]][1], waiting[lines[n][0]][0], lines[n][0]))
        order.append(lines[name].pop(0))
        paid[name] += 1 / limits.weights.get(name, 1.0)
        if not lines[name]:
            del lines[name]
    return order


@pytest.mark.fault(13, "the queue alone")
@pytest.mark.parametrize("slots", [4, 25])
def test_a_burst_of_a_thousand_tasks_over_ten_namespaces_is_served_fairly(slots: int) -> None:
    """Ten namespaces come with unequal numbers of tasks at once; while all have some waiting, all are served alike."""
    chance, queue, time = random.Random(5), a_queue(), Time()  # noqa: S311
    sizes = {f"team-{number}": size for number, size in enumerate([30, 40, 50, 60, 70, 90, 110, 130, 170, 250])}
    fill(queue, **sizes)
    assert len(queue) == 1000
    running: list[tuple[float, str]] = []
    done: Counter[str] = Counter()
    while queue or running:
        while len(running) < slots and (key := queue.next()) is not None:
            queue.started(key)
            heapq.heappush(running, (time.now + chance.uniform(5, 60), key[0]))
        assert len(running) <= slots
        time.now, namespace = heapq.heappop(running)
        done[namespace] += 1
        if max(done.values()) <= min(sizes.values()):
            shares = [float(done[name]) for name in sizes]
            least = jain(shares) if sum(done.values()) > 10 * slots else 1.0
            assert least >= 0.95, done

    assert done == sizes


def test_ten_thousand_tasks_cost_as_little_per_step_as_a_hundred() -> None:
    """Counted in comparisons, not in seconds: a step may grow with the logarithm of the queue only."""
    assert _comparisons(10_000) < 5 * _comparisons(100)


def _comparisons(tasks: int) -> float:
    class Counted(float):
        made = 0

        def __lt__(self, other: float) -> bool:
            Counted.made += 1
            return float.__lt__(self, other)

        def __eq__(self, other: object) -> bool:
            Counted.made += 1
            return float.__eq__(self, other)

        __hash__ = float.__hash__

        def __sub__(self, other: float) -> "Counted":
            return Counted(float.__sub__(self, other))

        def __add__(self, other: float) -> "Counted":
            return Counted(float.__add__(self, other))

    queue, chance = a_queue(), random.Random(1)  # noqa: S311
    for number in range(tasks):
        queue.enter((f"team-{number % 10}", f"t{number}"), priority=0, since=Counted(chance.random() * 1e6))
    queue.next()  # each task comes of age once; that is paid for here
    Counted.made = 0
    for _ in range(50):
        key = queue.next()
        assert key is not None
        queue.position(key)
        queue.started(key)
    return Counted.made / 50
