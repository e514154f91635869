"""Images drawn from a run's denoiser as particles that follow a reward."""

from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.condition import Fields
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.map_rows import map_rows, rows_per_device
from jaxgen.core.reward import Score, Scores
from jaxgen.core.sampler import image_keys
from jaxgen.core.types import Array
from jaxgen.export.denoiser import ExportedDenoiser
from jaxgen.export.sampler import BATCH
from jaxgen.models.diffusion.guidance import at_time
from jaxgen.models.diffusion.schedule import variance_exploding
from jaxgen.models.diffusion.solver import Process, fold_in, heun
from jaxgen.models.diffusion.steering import Advance, round_times, solve_round, steer
from jaxgen.models.diffusion.stochastic import churn
from jaxgen.models.latents.search import Method, Round

STEPS, MOST_ROUNDS, LEAST_PARTICLES = 32, 4, 4
"""Steps of the solver; rounds after which particles are scored, fewer where these would have fewer particles."""


def steered(
    denoiser: ExportedDenoiser,
    score: Score,
    fields: Fields,
    *,
    seed: int,
    budget: int,
    strength: float,
) -> Method:
    """Feynman-Kac steering for one set of conditions [1, ...]: of a budget of 64, 16 particles are scored four times.

    `strength` is in units of one over the standard deviation of the first rewards, so that it suits rewards of any
    scale.  The estimates E[x_0 | x_t] that are scored on the way count, but are not images that the search could find.
    Conditions are followed without guidance.
    """
    rounds = max(1, min(MOST_ROUNDS, budget // LEAST_PARTICLES))
    num, latest = budget // rounds, []
    times = round_times(variance_exploding(), rounds, STEPS // rounds)
    advance, none = _advance(denoiser, fields, times, num, seed), Scores(np.zeros(0, np.float32))

    def reward(denoised: Array) -> Array:
        latest.append(score(to_float(to_uint8(denoised))))
        return jnp.asarray(latest[-1].rewards / (latest[0].rewards.std() or 1))

    def scored() -> Iterator[Round]:
        noise = jax.vmap(lambda key: jax.random.normal(key, denoiser.spec))(_keys(seed, jnp.arange(num), 0))
        key, x = jax.random.fold_in(jax.random.key(seed), num), times[0, 0] * noise  # the key of no particle
        particles = steer(advance, reward, x, rounds=rounds, strength=strength, key=key)
        number = -1 - np.arange(num, dtype=np.int32)  # of no image of the seed
        for done, seen in enumerate(particles, start=1):
            if done < rounds:
                yield Round(none._replace(failure=latest[-1].failure), number[:0], {}, num)
            else:
                yield Round(latest[-1], number, {"images": np.asarray(to_uint8(seen.x)), "number": number}, num)

    return Method(scored(), rounds)


def _advance(denoiser: ExportedDenoiser, fields: Fields, times: Array, num: int, seed: int) -> Advance:
    given = {name: np.repeat(np.asarray(array), num, axis=0) for name, array in fields.items()}
    place, size = np.arange(num, dtype=np.int32), min(num, rows_per_device(BATCH))

    def move(shared: tuple[Array, Array, Array], rows: tuple[Array, Array, Mapping[str, Array]]) -> tuple[Array, Array]:
        (seed, times, number), (x, place, given) = shared, rows
        process = Process(variance_exploding(), at_time(lambda x, t: denoiser.call(x, t, given)), STEPS)
        return solve_round(churn(heun, 40.0), process, x, times, _keys(seed, place, number))

    mapped = map_rows(move)

    def advance(x: Array, number: int) -> tuple[Array, Array]:
        shared, rows = (jnp.uint32(seed), times[number], jnp.int32(number + 1)), (np.asarray(x), place, given)
        moved = mapped(shared, rows, size=size, what=f"Moving {num:,} particles")
        return tuple(map(jnp.asarray, moved))  # pyright: ignore[reportReturnType]

    return advance


def _keys(seed: Array | int, place: Array, number: Array | int) -> Array:
    """The keys [K] of a round by the particles' places: a copy has another than its original."""
    return fold_in(image_keys(jnp.uint32(seed), place), number)
