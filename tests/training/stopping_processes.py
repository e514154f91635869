"""What one of two processes does to agree with the other on when to stop; test_stopping.py starts it.

python -m tests.training.stopping_processes COORDINATOR NUMBER [lost]
"""

import signal
import sys
import time

import jax
import jax.numpy as jnp

from jaxgen.training.processes import Host
from jaxgen.training.stopping import KEPT, Stop, agreement


def check_ahead(host):
    """A process that is a dispatch ahead of the other one waits for nothing."""
    agree = agreement(host)
    if host.is_first:
        assert agree(0, False) == Stop()
    host.texts("the first is about to run its first dispatch")
    if not host.is_first:
        assert agree(0, False) == agree(0, False) == Stop()
    host.texts("the other one is about to run its second")
    if host.is_first:
        assert agree(0, False) == agree(0, True) == Stop()
    host.texts("the first is about to run its third, when its time is over")
    if not host.is_first:
        assert agree(0, False) == Stop()
    assert agree(0, False) == Stop(0, True)


def check_alike(host):
    """Both stop before the same dispatch for the same reason, whoever has it, and however fast each is."""
    for slow in range(2):
        for first, other, is_over, earliest, latest in [
            ({}, {}, 3, 3, 4),
            ({3: 2}, {}, 99, 3, 4),
            ({}, {3: 15}, 99, 3, 6),
            ({2: 2}, {2: 15}, 99, 2, 5),
            ({0: 2}, {}, 99, 0, 0),
            ({}, {}, 0, 0, 0),
        ]:
            agree, mine, signals = agreement(host), (first, other)[host.number], 0
            for number in range(100):
                signals = mine.get(number, signals)
                stop = agree(signals, number >= is_over)
                if any(stop):
                    break
                time.sleep(0.02 * (host.number == slow))
                if number % 2:
                    host.texts("a collective, as in a dispatch")
            assert len(set(host.texts(f"{number} {stop}"))) == 1
            assert earliest <= number <= latest
            assert stop.signal in {*first.values(), *other.values()} or is_over < 99


def check_unstalled(host):
    """Nobody waits for the devices."""
    agree = agreement(host)
    assert agree(0, False) == Stop()
    size = 512  # more than a CPU would compute at once, in place of beside the host
    busy = jax.jit(lambda x: jax.lax.fori_loop(0, 2_000, lambda _, x: jnp.tanh(x @ x), x))
    running = busy.lower(jnp.eye(size)).compile()(jnp.eye(size))
    for _ in range(3):
        assert agree(0, False) == Stop()
        assert not running.is_ready()
    jax.block_until_ready(running)


def check_many(host):
    """Decisions that all have read are forgotten, later ones are not."""
    agree = agreement(host)
    for number in range(KEPT + 50):
        assert agree(0, False) == Stop()
        if number % 10 == 9:
            host.texts("a collective")


def wait_for_ever():
    """The first process says that it waits; the other one waits for it."""
    print("waiting", flush=True)
    signal.pause()


def main():
    coordinator, number, *lost = sys.argv[1:]
    jax.distributed.initialize(coordinator, num_processes=2, process_id=int(number), heartbeat_timeout_seconds=10)
    host = Host(jax.process_index(), jax.process_count())
    if lost:
        agree = agreement(host)
        agree(0, False)
        if host.is_first:
            wait_for_ever()
        with host.fail_together(lambda: "Start again."):
            for _ in range(3):
                agree(0, False)
    for check in (check_ahead, check_alike, check_many, check_unstalled):
        check(host)


if __name__ == "__main__":
    main()
