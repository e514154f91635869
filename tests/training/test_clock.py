import pytest

from jaxgen.training.clock import Clock
from jaxgen.training.config import RunConfig


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def make(minutes=1.0, step=0, steps=1000):
    clock = Clock()
    return Clock(RunConfig(max_minutes=minutes, steps=steps, batch_size=8), step, clock.now, clock), clock


def test_speed_is_images_a_second_since_the_last_tick():
    pace, clock = make()
    clock.now += 20
    assert pace.tick(50, clock.now) == {"time/images_per_second": 20.0, "time/seconds": 20.0}
    clock.now += 2
    assert pace.tick(100, clock.now) == {"time/images_per_second": 200.0, "time/seconds": 22.0}


def test_compiling_does_not_count_as_the_usual_interval():
    pace, clock = make()
    clock.now += 35
    pace.tick(50, clock.now)
    assert not pace.is_over()
    clock.now += 1
    pace.tick(100, clock.now)
    assert not pace.is_over()
    clock.now = 100 + 58.5
    assert pace.is_over()


def test_what_is_left_is_what_ends_first():
    pace, clock = make(steps=1000)
    clock.now += 10
    pace.tick(100, clock.now)
    clock.now += 10
    pace.tick(600, clock.now)
    assert pace.remaining() == (pytest.approx(20 / 28), pytest.approx(8.0))  # 400 steps at 50 a second
    pace, clock = make(steps=100_000)
    clock.now += 10
    pace.tick(100, clock.now)
    clock.now += 10
    pace.tick(600, clock.now)
    assert pace.remaining() == (pytest.approx(20 / 60), pytest.approx(40.0))
