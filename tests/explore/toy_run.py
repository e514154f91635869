"""A run directory whose generator can be computed by hand, with records as a training leaves them."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import ImageSpec
from jaxgen.core.controls import Controls
from jaxgen.core.sampler import Sampler, image_keys
from jaxgen.export import ExportInfo, export_controls, export_sampler, save_grid

SPEC = ImageSpec(8, 6, 3)
WEIGHTS = jax.random.normal(jax.random.key(0), (4, 8 * 6 * 3)) / 3
ROWS = [
    {"step": step, "discriminator/loss": 1 / step, "generator/loss": float(step), "time/seconds": step / 10}
    for step in range(1, 2_501)
]


def images_of(latents):
    """The images float32 of latents [N, 4]."""
    return jnp.tanh(latents @ WEIGHTS).reshape(-1, *SPEC)


def latents_of(keys):
    return jax.vmap(lambda key: jax.random.normal(key, (4,)))(keys)


CONTROLS = Controls(
    draw=lambda seed, index: latents_of(image_keys(seed, index)),
    codes=lambda latents, _: latents[:, None],
    generate=lambda codes, latents, _: images_of(codes[:, 0]),
    first_layer=lambda codes: codes[:, 0] @ WEIGHTS,
)


def record(**config):
    """The content of a config.json."""
    return {
        "experiment": "toy",
        "config": {"steps": 5_000, "batch_size": 4, "max_minutes": 5.0, **config},
        "data": {"source": "none", "digest": "0"},
        "recipe": "r",
        "sessions": [{"versions": {"jaxgen": "0.1.0"}, "devices": ["cpu"]}],
    }


def write_run(folder, *, exported=True, rows=ROWS, **config):
    """Writes the run and returns its folder."""
    (folder / "samples").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(record(**config)))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for step in (1_000, 2_000):
        save_grid(folder / "samples" / f"step_{step:07}.png", np.full((4, *SPEC), step // 10, np.uint8))
    if exported:
        sampler = Sampler(lambda networks, keys, fields: images_of(latents_of(keys)))
        export_sampler(sampler)(folder / "sampler", {}, ExportInfo(SPEC))
        export_controls(lambda networks: CONTROLS)(folder / "controls", {}, ExportInfo(SPEC))
    return folder
