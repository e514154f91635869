"""Diffusion of clips: predicting frames, filling in between them, and drawing clips without any, by one network.

Frames are channels, so that any network of images will do; those that are known lie beside them:

    (1) x_0 [B, H, W, T C]        the T frames of a clip
    (2) c [B, H, W, T (C + 1)]    the known frames, 0 where unknown, and for each whether it is known, 0 or 1

Training hides frames at random: Voleti, Jolicoeur-Martineau and Pal (2022), https://arxiv.org/abs/2205.09853.

    model = Diffusion(WithMaps(DiffusionUNet()), spec=channels_of(spec, 20), conditions=known_frames(spec, 20))
    loss = hide_frames(denoising_loss(model), [[], range(10), [0, 19]])
"""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import KNOWN, UNKNOWN, Condition, Fields
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import Mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.diffusion.model import COUNTED, LATENT, Diffusion
from jaxgen.nets import forward


def as_channels(clips: Array) -> Array:
    """Clips [B, T, H, W, C] as (1)."""
    batch, frames, height, width, channels = clips.shape
    return jnp.moveaxis(clips, 1, 3).reshape(batch, height, width, frames * channels)


def as_frames(image: Array, frames: int) -> Array:
    """(1) as clips [B, T, H, W, C] of T frames."""
    batch, height, width, channels = image.shape
    return jnp.moveaxis(image.reshape(batch, height, width, frames, channels // frames), 3, 1)


def channels_of(spec: ImageSpec, frames: int) -> ImageSpec:
    """The size of (1), for frames of a size."""
    return spec._replace(channels=frames * spec.channels)


def known_frames(spec: ImageSpec, frames: int) -> dict[str, Condition]:
    """The condition on known frames, encoded as (2).  The null condition is that none is known."""
    shape = frames, *spec
    return {KNOWN: Condition(frames * spec.height * spec.width * spec.channels, shape, "int16", 0, _encode, UNKNOWN)}


def hide_frames(loss: Loss, patterns: Sequence[Iterable[int]]) -> Loss:
    """A loss of the batch's `clip` uint8 [B, T, H, W, C], of which the frames of a random one of `patterns` are known.

    Only the others count in it: what is known needs no prediction.

    Raises:
      ValueError: no patterns, or, when it is computed, one with a frame that is not 0 to T - 1, or with all frames.
    """
    if not patterns:
        raise ValueError("hide_frames was given no patterns of known frames.")
    frames = [frozenset(pattern) for pattern in patterns]

    def hidden(networks: Networks, context: Context) -> tuple[Array, Aux]:
        clip = context.batch["clip"]
        if outside := frozenset().union(*frames).difference(range(clip.shape[1])):
            raise ValueError(f"hide_frames was given frame {min(outside)}; the clips' are 0 to {clip.shape[1] - 1}.")
        is_known = np.array([[frame in known for frame in range(clip.shape[1])] for known in frames])
        if is_known.all(axis=1).any():
            raise ValueError(f"hide_frames was given a pattern of all {clip.shape[1]} frames; expected unknown ones.")
        chosen = draw_batch(
            lambda key, shape: jax.random.randint(key, shape, 0, len(patterns)),
            stream(context, "patterns").key,
            clip.shape[:1],
        )
        known = mark_known(clip, jnp.asarray(is_known)[chosen])
        batch = {
            **context.batch,
            LATENT: as_channels(to_float(clip)),
            KNOWN: known,
            COUNTED: as_channels(known == UNKNOWN),
        }
        return loss(networks, context._replace(batch=batch))

    return hidden


def motion_loss(model: Diffusion) -> Loss:
    """The negative log-likelihood (4) of `nets.layers.motion`, in nats a frame, of a model `WithMotion`.

    Use it inside `hide_frames`.  It is the mean over a clip's frames for which (4) is defined, then over the batch,
    where clips without such frames count as 0; the metric leaves them out.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        known = model.conditions[KNOWN].encode(context.batch[KNOWN])
        (nats, has_source), changes = forward(
            model.network, networks[model.name], context.batch[LATENT], known, train=True, method="shift_nll"
        )
        counts = has_source.sum(axis=1)
        means = jnp.where(has_source, nats, 0).sum(axis=1) / jnp.maximum(counts, 1)
        return means.mean(), Aux(
            {"nats": Mean(means.sum(), (counts > 0).sum(dtype=jnp.float32))}, {model.name: changes}
        )

    return loss


def mark_known(clips: Array, is_known: Array) -> Array:
    """The field of known frames int16 [B, T, H, W, C]: those of clips uint8 for which `is_known`, bool [B, T]."""
    return jnp.where(is_known[:, :, None, None, None], clips.astype(jnp.int16), UNKNOWN)


def clip_sampler(model: Diffusion) -> Sampler:
    """Draws clips float32 [B, T, H, W, C] around the known frames, which stay as they are."""
    sampler = model.sampler()

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        known = fields[KNOWN]
        clips = as_frames(sampler.draw(networks, keys, fields), known.shape[1])
        return jnp.where(known == UNKNOWN, clips, to_float(jnp.maximum(known, 0).astype(jnp.uint8)))

    return Sampler(draw, model.conditions)


def strip_sampler(model: Diffusion) -> Sampler:
    """Draws clips of which no frame is known, as images [B, H, T W, C]: their frames side by side."""
    clips, others = clip_sampler(model), {name: one for name, one in model.conditions.items() if name != KNOWN}
    shape = model.conditions[KNOWN].shape

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        known = jnp.full((keys.shape[0], *shape), UNKNOWN, jnp.int16)
        return film_strip(clips.draw(networks, keys, {**fields, KNOWN: known}))

    return Sampler(draw, others)


def film_strip(clips: Array) -> Array:
    """Clips [B, T, H, W, C] as images [B, H, T W, C], their frames side by side."""
    batch, frames, height, width, channels = clips.shape
    return jnp.moveaxis(clips, 1, 2).reshape(batch, height, frames * width, channels)


def _encode(known: Array) -> Array:
    """(2) of the field of known frames."""
    is_known = known != UNKNOWN
    frames = jnp.where(is_known, to_float(jnp.maximum(known, 0).astype(jnp.uint8)), 0.0)
    return as_channels(jnp.concatenate([frames, is_known[..., :1].astype(jnp.float32)], axis=-1))
