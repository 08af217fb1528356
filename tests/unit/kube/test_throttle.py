from repack_kube.throttle import Bucket


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_burst_passes_at_once_and_then_the_rate_holds() -> None:
    clock = Clock()
    bucket = Bucket(rate=10, burst=5, clock=clock, sleep=clock.sleep)

    for _ in range(5):
        await bucket.take()
    assert clock.now == 100.0

    for _ in range(10):
        await bucket.take()
    assert 100.9 < clock.now < 101.1


async def test_permits_that_nobody_took_are_saved_up_to_the_burst_only() -> None:
    clock = Clock()
    bucket = Bucket(rate=10, burst=2, clock=clock, sleep=clock.sleep)
    clock.now += 1000

    waits = [await bucket.take() for _ in range(3)]

    assert waits[:2] == [0.0, 0.0]
    assert waits[2] > 0
