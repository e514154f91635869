"""The speed of a run, and when it is over."""

import pytest

from jaxgen.training.clock import Clock
from jaxgen.training.config import RunConfig


class Time:
    now = 100.0

    def __call__(self):
        return self.now


def make(minutes=1.0, step=0, steps=1000):
    time = Time()
    return Clock(RunConfig(max_minutes=minutes, steps=steps, batch_size=8), step, time.now, time), time


def test_speed_is_images_a_second_since_the_last_tick():
    clock, time = make()
    time.now += 20
    assert clock.tick(50, time.now) == {"time/images_per_second": 20.0, "time/seconds": 20.0}
    time.now += 2
    assert clock.tick(100, time.now) == {"time/images_per_second": 200.0, "time/seconds": 22.0}


def test_compiling_does_not_count_as_the_usual_interval():
    clock, time = make()
    time.now += 35
    clock.tick(50, time.now)
    assert not clock.is_over()
    time.now += 1
    clock.tick(100, time.now)
    assert not clock.is_over()
    time.now = 100 + 58.5
    assert clock.is_over()


def test_what_is_left_is_what_ends_first():
    clock, time = make(steps=1000)
    time.now += 10
    clock.tick(100, time.now)
    time.now += 10
    clock.tick(600, time.now)
    assert clock.remaining() == (pytest.approx(20 / 28), pytest.approx(8.0))  # 400 steps at 50 a second
    clock, time = make(steps=100_000)
    time.now += 10
    clock.tick(100, time.now)
    time.now += 10
    clock.tick(600, time.now)
    assert clock.remaining() == (pytest.approx(20 / 60), pytest.approx(40.0))
