"""Diffusion models and flow matching.

A network learns to remove noise; images are drawn by a solver that goes from pure noise to an image.  All that happens
after training reads the denoiser E[x_0 | x_t] alone: `schedule` says how noise is mixed in, `prediction` how the
network's output becomes the denoiser, `solver` and `grid` how images are drawn, `worse` and `guidance` with which
denoiser.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.condition import Conditions, Fields, conditioning, example_conditioning
from jaxgen.core.controls import Controls
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.core.types import Array, Batch, Networks, Variables
from jaxgen.models.diffusion.grid import Grid, uniform_grid
from jaxgen.models.diffusion.guidance import Denoiser, Guidance, at_time, autoguidance, unguided
from jaxgen.models.diffusion.prediction import Prediction, Scaling, expected_image, per_image, velocity
from jaxgen.models.diffusion.schedule import Schedule, linear, signal_to_noise
from jaxgen.models.diffusion.solver import Process, Solver, heun, solve
from jaxgen.nets import Module, dense_outputs, forward

MOST_SIGNAL = 1e-3
"""The signal-to-noise ratio at the end of a schedule above which its end is not pure noise."""


LATENT = "latent_map"
"""The batch's field of the maps that take the place of its images, if there are any."""


class Worse(NamedTuple):
    """A smaller or less trained model of the same images, and the scale of autoguidance by it; 1 for none."""

    model: "Diffusion"
    scale: float


class Diffusion(NamedTuple):
    """A network that denoises: it takes images [B, H, W, C], the conditioning inputs and `noise_level` [B].

    Another solver, grid or guidance needs no training: `model._replace(solver=dpm_solver_2m, grid=uniform_grid(8))`.
    A `worse` model, of the same schedule and conditions, needs a training of its own, under a name of its own.
    """

    network: Module
    spec: ImageSpec
    schedule: Schedule = linear()
    prediction: Prediction = velocity
    conditions: Conditions = {}
    solver: Solver = heun
    grid: Grid = uniform_grid(16)
    guidance: Guidance = unguided
    worse: Worse | None = None
    name: str = "denoiser"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The network's variables for images of a size.

        Raises:
          ValueError: the size is not the model's, the network's outputs are of another, the schedule or the grid does
            not reach noise, training times are beyond it, or the worse model has another schedule.
        """
        if spec != self.spec:
            raise ValueError(f"A Diffusion of images {list(self.spec)} was given images {list(spec)}.")
        self._require_noise()
        inputs = jnp.zeros((1, *spec)), *example_conditioning(self.conditions)
        output, variables = self.network.init_with_output(key, *inputs, train=False, noise_level=jnp.zeros(1))
        if output.shape[1:] != spec:
            raise ValueError(f"The network's outputs are {list(output.shape[1:])}; expected {list(spec)}.")
        return {self.name: variables}

    def _require_noise(self) -> None:
        """Refuses what `init` says of schedules and grids."""
        schedule = self.schedule
        with jax.ensure_compile_time_eval():
            places = {"schedule ends": jnp.float32(schedule.end), "grid starts": self.grid(schedule)[0]}
            signals = {place: float(signal_to_noise(schedule, time)) for place, time in places.items()}
            beyond = float(schedule.coefficients(schedule.times(jnp.float32(0.999)))[0]) < 0
            times = schedule.end * jnp.linspace(0.1, 1, 10)
            worse = self.worse.model.schedule if self.worse else schedule
            is_same = all(map(jnp.array_equal, schedule.coefficients(times), worse.coefficients(times)))
        for place, snr in signals.items():
            if not snr <= MOST_SIGNAL:
                raise ValueError(
                    f"The {place} at a signal-to-noise ratio of {snr:.3g}; expected at most {MOST_SIGNAL:g}, since "
                    "images are drawn from pure noise."
                )
        if beyond:
            raise ValueError(
                f"The schedule's training times go beyond its end, {schedule.end:g}: log_normal_times, for example, "
                "are those of variance_exploding."
            )
        if not is_same:
            raise ValueError("The worse model has another schedule; expected the same.")

    def predict(
        self,
        networks: Networks,
        x: Array,
        scaling: Scaling,
        *condition: Array,
        train: bool,
        key: Array | None = None,
        **inputs: Array,
    ) -> tuple[Array, Variables]:
        """The network's output F for noised images, and its mutated collections; `inputs` are further ones by name."""
        images = per_image(scaling.c_in) * x, *condition
        options = {"train": train, "key": key, "noise_level": scaling.c_noise, **inputs}
        return forward(self.network, networks[self.name], *images, **options)

    def denoiser(self, networks: Networks) -> Denoiser:
        """The denoiser, without guidance."""

        def denoise(x: Array, t: Array, *condition: Array) -> Array:
            scaling = self.prediction(self.schedule, t)
            output, _ = self.predict(networks, x, scaling, *condition, train=False)
            return expected_image(scaling, x, output)

        return denoise

    def autoguided(self, networks: Networks) -> Denoiser:
        """The denoiser, guided by that of the worse model if there is one, without other guidance."""
        if self.worse is None or self.worse.scale == 1:
            return self.denoiser(networks)
        return autoguidance(self.worse.model.denoiser(networks), self.worse.scale)(self.denoiser(networks))

    def sampler(self) -> Sampler:
        """Draws images from pure noise by the solver."""

        def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
            pairs = jax.vmap(jax.random.split)(keys)
            return self._from_noise(networks, self._noise(pairs[:, 0]), pairs[:, 1], fields)

        return Sampler(draw, self.conditions)

    def controls(self, networks: Networks) -> Controls:
        """The controls; latents are the noise [N, H W C], and codes are latents, [N, 1, H W C].

        The encoder runs the solver from images to noise: Song et al. (2021), https://arxiv.org/abs/2010.02502, section
        4.3.

        Raises:
          ValueError: the solver is stochastic, so that no latent determines an image.
        """
        if not self.solver.is_deterministic:
            raise ValueError("The controls of a Diffusion need a deterministic solver, such as heun.")

        def draw(seed: Array, index: Array) -> Array:
            start = jax.vmap(jax.random.split)(image_keys(seed, index))[:, 0]
            return self._noise(start).reshape(-1, math.prod(self.spec))

        def generate(codes: Array, latents: Array, fields: Fields) -> Array:  # noqa: ARG001
            noise = codes.reshape(-1, *self.spec)
            return self._from_noise(networks, noise, _any_keys(noise), fields)

        def first_layer(codes: Array) -> Array:
            noise, condition = codes.reshape(-1, *self.spec), example_conditioning(self.conditions, codes.shape[0])
            options = {"train": False, "noise_level": jnp.zeros(codes.shape[0])}
            outputs = dense_outputs(self.network, networks[self.name], noise, *condition, **options)
            return outputs[0].reshape(codes.shape[0], -1)

        def encode(images: Array, fields: Fields) -> Array:
            noise = self._to_noise(networks, images, fields)
            return noise.reshape(-1, math.prod(self.spec))

        return Controls(draw, lambda latents, _: latents[:, None], generate, first_layer, encode=encode)

    def _noise(self, keys: Array) -> Array:
        return jax.vmap(lambda key: jax.random.normal(key, self.spec))(keys)

    def _process(self, networks: Networks, fields: Fields, steps: int) -> Process:
        denoiser, condition = self.guidance(self.autoguided(networks)), conditioning(self.conditions, fields)
        return Process(self.schedule, at_time(denoiser, *condition), steps)

    def _from_noise(self, networks: Networks, noise: Array, keys: Array, fields: Fields) -> Array:
        times = self.grid(self.schedule)
        x = self.schedule.coefficients(times[0])[1] * noise
        return solve(self.solver, self._process(networks, fields, len(times) - 1), x, times, keys)

    def _to_noise(self, networks: Networks, images: Array, fields: Fields) -> Array:
        times = self.grid(self.schedule)[::-1]
        process = self._process(networks, fields, len(times) - 1)
        x = solve(self.solver, process, images, times, _any_keys(images))
        return x / self.schedule.coefficients(times[-1])[1]


def clean_data(batch: Batch) -> Array:
    """The data x_0 [B, H, W, C] of a batch: its images in [-1, 1], or the latent maps that take their place."""
    return batch[LATENT] if LATENT in batch else to_float(batch["image"])


def _any_keys(images: Array) -> Array:
    """Keys [B] for a solver that does not read them."""
    return jnp.broadcast_to(jax.random.key(0), images.shape[:1])
