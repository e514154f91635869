"""Search: the best images that a generator draws, by a reward.

    best of n    the images of a seed, each by itself
    evolution    sep-CMA-ES over latents: Ros and Hansen (2008), https://doi.org/10.1007/978-3-540-87700-4_30
    gradient     Adam over codes, whose norm stays what it was when they were drawn

A method scores images round by round, at most a budget of them in all.  A search keeps the best that it has seen.

In high dimensions the norm of a normal latent hardly varies, and a generator knows no latents of other norms; along the
sphere all latents are equally likely.  Codes that are not latents are standardised by the mean and the deviation of
many, each value by itself, and then treated alike.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.core.condition import Fields
from jaxgen.core.controls import Controls
from jaxgen.core.image import to_float, to_uint8
from jaxgen.core.reward import Reward, Score, Scores
from jaxgen.core.types import Array
from jaxgen.io.errors import InputError, package
from jaxgen.io.terminal import progress

AT_ONCE = 64
"""Images that best of n scores together."""

STEP_SIZE = 0.5
"""The first deviation of evolution: of 0.5 and 1, the better one for 30 pictures and a GAN of digits."""

STARTS, LEARNING_RATE, SAMPLES = 2, 0.1, 500
"""Images that gradients start from, Adam's learning rate, and the codes that others are standardised by.

Two starts out of half the budget found better images than four or eight out of none, for the same pictures."""


class Round(NamedTuple):
    """Images that were scored together: arrays [N, ...] by name, `images` uint8 and what draws them again.

    `origin` [N] numbers what an image was made from: of one origin a search keeps the best image alone.  `spent` is the
    number of scores that it took; without arrays they were those of estimates on the way, not of images.
    """

    scores: Scores
    origin: np.ndarray
    arrays: Mapping[str, np.ndarray]
    spent: int


class Method(NamedTuple):
    """Rounds, each computed when it is asked for, and how many there are at `most`; a failure may end them earlier."""

    rounds: Iterator[Round]
    most: int


class Found(NamedTuple):
    """What a search found: the best reward after each score [M], NaN before the first finite one, and the best images,
    with their rewards [K].

    The best come first; `failure` says why the search ended early, if it did.
    """

    curve: np.ndarray = np.empty(0, np.float32)
    rewards: np.ndarray = np.empty(0, np.float32)
    origin: np.ndarray = np.empty(0, np.int32)
    arrays: Mapping[str, np.ndarray] = {}
    failure: str = ""

    def after(self, seen: Round, num: int) -> "Found":
        """With another round: of the images with finite rewards the best `num` in all are kept."""
        finite = np.isfinite(seen.scores.rewards)
        new = seen.scores.rewards[finite]
        if seen.arrays and not len(new):  # nothing was scored
            return self._replace(failure=seen.scores.failure)
        before = self.curve[-1:] if len(self.curve) else np.full(1, np.nan, np.float32)
        scored = np.where(finite, seen.scores.rewards, np.float32(np.nan))
        best = np.fmax.accumulate(np.append(before, scored))[1:] if seen.arrays else np.repeat(before, seen.spent)
        after = self._replace(curve=np.append(self.curve, best), failure=seen.scores.failure)
        if not len(new):
            return after
        rewards, origin = np.append(self.rewards, new), np.append(self.origin, seen.origin[finite])
        order = np.argsort(-rewards, kind="stable")
        _, first = np.unique(origin[order], return_index=True)
        kept = order[np.sort(first)][:num]
        arrays = {name: array[finite] for name, array in seen.arrays.items()}
        if self.arrays:
            arrays = {name: np.concatenate([self.arrays[name], array]) for name, array in arrays.items()}
        arrays = {name: array[kept] for name, array in arrays.items()}
        return after._replace(rewards=rewards[kept], origin=origin[kept], arrays=arrays)


def carry_out(method: Method, num: int) -> Found:
    """Carries out a method and keeps the `num` best images; Ctrl-C and a failure end it with what it has."""
    found = Found()

    def advance(_: int) -> None:
        nonlocal found
        if found.failure:
            return
        try:
            found = found.after(next(method.rounds), num)
        except InputError as error:  # of a reward that is not computed by a `Score`
            found = found._replace(failure=str(error).removesuffix("."))

    progress(advance, range(method.most), "Searching", may_stop=True)
    return found


def best_of(draw: Callable[[int, int], np.ndarray], score: Score, *, budget: int) -> Method:
    """Best of n: `draw` takes the first number and how many to images uint8 [N, H, W, C] of a seed."""

    def rounds() -> Iterator[Round]:
        for start in range(0, budget, AT_ONCE):
            num = min(AT_ONCE, budget - start)
            images, number = draw(start, num), np.arange(start, start + num, dtype=np.int32)
            scores = score(to_float(jnp.asarray(images)))
            yield Round(scores, number, {"images": images, "number": number}, num)

    return Method(rounds(), -(-budget // AT_ONCE))


def evolve(controls: Controls, score: Score, fields: Fields, *, seed: int, budget: int) -> Method:
    """Evolution of latents for one set of conditions [1, ...]; the first generation are the first images of the seed.

    Raises:
      OutsideError: the package cmaes is not installed.
      InputError: latents of a single dimension.
    """
    cmaes = package("cmaes", "searches by evolution")
    size = _draw(controls, seed, 0, 1).shape[1]
    if size < 2:
        raise InputError("Evolution needs latents of at least two dimensions; this run has one.")
    optimizer = cmaes.SepCMA(mean=np.zeros(size), sigma=STEP_SIZE, seed=seed)
    num = optimizer.population_size

    @jax.jit
    def generate(latents: Array) -> tuple[Array, Array]:
        given = _repeated(fields, num)
        codes = controls.codes(latents, given)
        return codes, to_uint8(controls.generate(codes, latents, given))

    def rounds() -> Iterator[Round]:
        first = np.asarray(_draw(controls, seed, 0, num))
        for start in range(0, budget, num):
            latents = np.stack([optimizer.ask() for _ in range(num)]).astype(np.float32) if start else first
            left = min(num, budget - start)
            codes, images = (np.asarray(array)[:left] for array in generate(jnp.asarray(latents)))
            scores = score(to_float(jnp.asarray(images)))
            arrays = {"images": images, "codes": codes, "latents": latents[:left]}
            yield Round(scores, np.arange(start, start + left, dtype=np.int32), arrays, left)
            if left == num:
                optimizer.tell(list(zip(latents.astype(np.float64), -scores.rewards, strict=True)))

    return Method(rounds(), -(-budget // num))


def ascend(
    controls: Controls, reward: Reward, fields: Fields, *, seed: int, budget: int, score: Score | None = None
) -> Method:
    """Gradients of a reward by codes, for one set of conditions [1, ...], from the best of the seed's first images.

    These take half of the budget.  Rewards are those of images before they are rounded to grey levels.  `score` of the
    same reward says what failed, where it is not finite.

    Raises:
      InputError: the reward cannot be differentiated.
    """
    drawn = (budget + 1) // 2
    num = min(STARTS, drawn, max(1, budget - drawn))
    many = controls.codes(_draw(controls, (seed + 1) % 2**32, 0, SAMPLES), _repeated(fields, SAMPLES))
    mean, deviation = many.mean(0), jnp.maximum(many.std(0), 1e-6)
    adam = optax.adam(LEARNING_RATE)

    @jax.jit
    def generate(codes: Array, latents: Array) -> Array:
        return jnp.clip(controls.generate(codes, latents, _repeated(fields, len(codes))), -1, 1)

    def cost(standard: Array, latents: Array) -> tuple[Array, tuple[Array, ...]]:
        codes = mean + deviation * standard
        images = generate(codes, latents)
        rewards = reward(images)
        return -rewards.sum(), (rewards, to_uint8(images), codes, latents)

    @jax.jit
    def step(standard: Array, state: optax.OptState, latents: Array) -> tuple[Array, optax.OptState, tuple[Array, ...]]:
        gradient, seen = jax.grad(cost, has_aux=True)(standard, latents)
        change, state = adam.update(gradient, state)
        moved = jnp.asarray(optax.apply_updates(standard, change))
        return moved * _norm(standard) / jnp.maximum(_norm(moved), 1e-6), state, seen

    def rounds() -> Iterator[Round]:
        best = Found()
        for start in range(0, drawn, AT_ONCE):
            origin = np.arange(start, min(start + AT_ONCE, drawn), dtype=np.int32)
            latents = _draw(controls, seed, start, len(origin))
            codes = controls.codes(latents, _repeated(fields, len(origin)))
            images = generate(codes, latents)
            seen = _round(reward(images), to_uint8(images), codes, latents, origin=origin, score=score)
            best = best.after(seen, num)
            yield seen
        latents = jnp.asarray(best.arrays["latents"])
        standard = (jnp.asarray(best.arrays["codes"]) - mean) / deviation
        state = adam.init(standard)
        for _ in range((budget - drawn) // num):
            standard, state, seen = step(standard, state, latents)
            yield _round(*seen, origin=best.origin, score=score)

    example = jnp.broadcast_to(mean, (num, *mean.shape))
    jax.eval_shape(step, example, adam.init(example), _draw(controls, seed, 0, num))  # refused now, not halfway
    return Method(rounds(), -(-drawn // AT_ONCE) + (budget - drawn) // num)


def _round(
    rewards: Array, images: Array, codes: Array, latents: Array, *, origin: np.ndarray, score: Score | None
) -> Round:
    values, failure = np.asarray(rewards), ""
    if not np.isfinite(values).all():
        named = score(to_float(images)).failure if score else ""
        failure = named or "a reward or its gradient is not finite"
    arrays = {"images": np.asarray(images), "codes": np.asarray(codes), "latents": np.asarray(latents)}
    return Round(Scores(values, failure), origin, arrays, len(values))


def _draw(controls: Controls, seed: int, start: int, num: int) -> Array:
    return controls.draw(jnp.uint32(seed), jnp.arange(start, start + num, dtype=jnp.int32))


def _norm(codes: Array) -> Array:
    return jnp.linalg.norm(codes.reshape(len(codes), -1), axis=1)[:, None, None]


def _repeated(fields: Fields, num: int) -> Fields:
    return {name: jnp.repeat(jnp.asarray(array), num, axis=0) for name, array in fields.items()}
