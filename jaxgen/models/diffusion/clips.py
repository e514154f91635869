"""Diffusion of clips, frame by frame: predicting frames, filling in between them, and drawing films, by one network.

A model of clips is one of images, each a frame, conditioned on the frames around it, of which any may be known:

    (1) c [B, H, W, S (C + 1)]    the S = 2 (T - 1) frames around an image, at distances 1 - T to -1 and 1 to T - 1,
                                  0 where unknown, and for each whether it is known, 0 or 1

Known frames lie beside the image, so that any network of images will do.  Training hides frames at random: Voleti,
Jolicoeur-Martineau and Pal (2022), https://arxiv.org/abs/2205.09853; any frame may be drawn given any others: Harvey,
Naderiparizi, Masrani, Weilbach and Wood (2022), https://arxiv.org/abs/2205.11495.

    model = Diffusion(WithMaps(DiffusionUNet()), spec, conditions=known_frames(spec, 10))
    loss = frame_of_clip(denoising_loss(model), 10, [(9, range(9)), (4, [0, 9]), (0, [])])
"""

import math
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.batch import draw_batch
from jaxgen.core.condition import KNOWN, UNKNOWN, Condition, Fields, frame_offsets
from jaxgen.core.image import ImageSpec, to_float, to_uint8
from jaxgen.core.metrics import Mean
from jaxgen.core.objective import stream
from jaxgen.core.sampler import Sampler
from jaxgen.core.types import Array, Aux, Context, Loss, Networks
from jaxgen.models.diffusion.model import Diffusion
from jaxgen.nets import forward


def known_frames(spec: ImageSpec, frames: int) -> dict[str, Condition]:
    """The condition on known frames of clips of T `frames`, encoded as (1).  The null condition is that none is known.

    Raises:
      ValueError: clips of one frame.
    """
    if frames < 2:
        raise ValueError(f"known_frames was given clips of {frames} frames; expected at least 2.")
    shape = len(frame_offsets(frames)), *spec
    return {KNOWN: Condition(math.prod(shape), shape, "int16", 0, _encode, UNKNOWN)}


def frame_of_clip(loss: Loss, frames: int, patterns: Sequence[tuple[int, Iterable[int]]]) -> Loss:
    """A loss of images and the known frames around them, by a random one of `patterns` for each of the batch's clips.

    A pattern (t, known) makes frame t of the clip the batch's `image`, and gives it the frames `known`.  Repeat one to
    draw it more often.  Clips are the batch's `clip` uint8 [B, T, H, W, C] of T `frames`.

    Raises:
      ValueError: no patterns, one with a frame that is not 0 to T - 1, or with a known image; when it is computed,
        clips of another length.
    """
    if not patterns:
        raise ValueError("frame_of_clip was given no patterns.")
    numbers, places, is_known = _around([(number, frozenset(known)) for number, known in patterns], frames)

    def of_frame(networks: Networks, context: Context) -> tuple[Array, Aux]:
        clip = context.batch["clip"]
        if clip.shape[1] != frames:
            raise ValueError(f"frame_of_clip was given clips of {clip.shape[1]} frames; expected {frames}.")
        chosen = draw_batch(
            lambda key, shape: jax.random.randint(key, shape, 0, len(patterns)),
            stream(context, "patterns").key,
            clip.shape[:1],
        )
        batch = {
            **context.batch,
            "image": _take(clip, numbers[chosen][:, None])[:, 0],
            KNOWN: jnp.where(_wide(is_known[chosen]), _take(clip, places[chosen]).astype(jnp.int16), UNKNOWN),
        }
        return loss(networks, context._replace(batch=batch))

    return of_frame


def motion_loss(model: Diffusion) -> Loss:
    """The negative log-likelihood (4) of `nets.layers.motion`, in nats, of the images of a model `WithMotion`.

    Use it inside `frame_of_clip`.  Images without a known frame count as 0; the metric leaves them out.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        known = model.conditions[KNOWN].encode(context.batch[KNOWN])
        (nats, has_source), changes = forward(
            model.network,
            networks[model.name],
            to_float(context.batch["image"]),
            known,
            train=True,
            method="shift_nll",
        )
        nats = jnp.where(has_source, nats, 0)
        metric = Mean(nats.sum(), has_source.sum(dtype=jnp.float32))
        return nats.mean(), Aux({"nats": metric}, {model.name: changes})

    return loss


def strip_sampler(model: Diffusion) -> Sampler:
    """Draws clips of T frames, each given those before it, as images [B, H, T W, C]: their frames side by side."""
    sampler, others = model.sampler(), {name: one for name, one in model.conditions.items() if name != KNOWN}
    shape = model.conditions[KNOWN].shape
    past = shape[0] // 2

    def draw(networks: Networks, keys: Array, fields: Fields) -> Array:
        def grow(known: Array, number: Array) -> tuple[Array, Array]:
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            frame = sampler.draw(networks, own, {**fields, KNOWN: known})
            before = jnp.concatenate([known[:, 1:past], to_uint8(frame).astype(jnp.int16)[:, None]], axis=1)
            return known.at[:, :past].set(before), frame

        nothing = jnp.full((keys.shape[0], *shape), UNKNOWN, jnp.int16)
        _, frames = jax.lax.scan(grow, nothing, jnp.arange(past + 1))
        return film_strip(jnp.moveaxis(frames, 0, 1))

    return Sampler(draw, others)


def film_strip(clips: Array) -> Array:
    """Clips [B, T, H, W, C] as images [B, H, T W, C], their frames side by side."""
    batch, frames, height, width, channels = clips.shape
    return jnp.moveaxis(clips, 1, 2).reshape(batch, height, frames * width, channels)


def _around(patterns: Sequence[tuple[int, frozenset[int]]], frames: int) -> tuple[Array, Array, Array]:
    """The number of each pattern's image, [N]; which frames are around it, [N, S]; and which are known, bool [N, S]."""
    for number, known in patterns:
        if outside := ({number} | known).difference(range(frames)):
            raise ValueError(f"frame_of_clip was given frame {min(outside)}; the clips' are 0 to {frames - 1}.")
        if number in known:
            raise ValueError(f"frame_of_clip was given frame {number} as an image and as known; expected one of them.")
    numbers = np.array([number for number, _ in patterns])
    places = numbers[:, None] + frame_offsets(frames)
    is_known = [[place in known for place in row] for row, (_, known) in zip(places.tolist(), patterns, strict=True)]
    return jnp.asarray(numbers), jnp.asarray(places.clip(0, frames - 1)), jnp.array(is_known)


def _take(clips: Array, places: Array) -> Array:
    """The frames [B, S, H, W, C] at places [B, S] of clips [B, T, H, W, C]."""
    return jnp.take_along_axis(clips, _wide(places), axis=1)


def _wide(array: Array) -> Array:
    """[B, S] as [B, S, 1, 1, 1]."""
    return array[:, :, None, None, None]


def _encode(known: Array) -> Array:
    """(1) of the field of known frames."""
    is_known = known != UNKNOWN
    frames = jnp.where(is_known, to_float(jnp.maximum(known, 0).astype(jnp.uint8)), 0.0)
    maps = jnp.concatenate([frames, is_known[..., :1].astype(jnp.float32)], axis=-1)
    return jnp.moveaxis(maps, 1, 3).reshape(known.shape[0], *known.shape[2:4], -1)
