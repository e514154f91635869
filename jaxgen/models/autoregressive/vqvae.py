"""Autoencoders with discrete latents.  van den Oord et al. (2017), https://arxiv.org/abs/1711.00937.

The codebook holds K vectors that follow the encoder's outputs by moving averages:

    (1) k(x)  = argmin_j |e(x) - c_j|                                     code
    (2) loss  = -log p(x | c_k + e - sg(e)) + beta |e - sg(c_k)|^2        straight through, and commitment
    (3) n_j  <- d n_j + (1 - d) share of j,  s_j <- d s_j + (1 - d) mean of e by j,  c_j = s_j / n_j     (A.1)

where shares and means are over all vectors of a batch.  A code with a share below 1 / (100 K) restarts at a vector of
the batch, as in Dhariwal et al. (2020), https://arxiv.org/abs/2005.00341, section 3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.batch import gather_batch
from jaxgen.core.image import ImageSpec, to_float
from jaxgen.core.metrics import Mean, mean
from jaxgen.core.objective import stream
from jaxgen.core.types import Array, Aux, Batch, Context, Loss, Networks, Variables
from jaxgen.losses import Likelihood, require_num_params
from jaxgen.nets import Module, forward

RARE = 0.01
"""The least share of a code, relative to equal shares, below which it is restarted."""


class VQVAE(NamedTuple):
    """An encoder from images to vectors [B, h, w, E], a codebook of `codes` vectors, and a decoder from vectors."""

    encoder: Module
    decoder: Module
    likelihood: Likelihood
    codes: int
    decay: float = 0.99
    encoder_name: str = "encoder"
    decoder_name: str = "decoder"
    codebook_name: str = "codebook"

    def init(self, key: Array, spec: ImageSpec) -> dict[str, Variables]:
        """The variables of all networks for images of a size.

        Raises:
          ValueError: the decoder's outputs do not parametrise the likelihood.
        """
        encoder, decoder, codebook = jax.random.split(key, 3)
        vectors, variables = self.encoder.init_with_output(encoder, jnp.full((1, *spec), -1.0), train=False)
        embeddings = jax.random.normal(codebook, (self.codes, vectors.shape[-1]))
        share = jnp.full(self.codes, 1 / self.codes)
        dist_params, decoder = self.decoder.init_with_output(decoder, vectors, train=False)
        require_num_params(self.likelihood, dist_params, spec.channels)
        return {
            self.encoder_name: variables,
            self.decoder_name: decoder,
            self.codebook_name: {"averages": {"share": share, "sum": embeddings * share[:, None]}},
        }

    def encode(
        self, networks: Networks, images: Array, *, train: bool = False, key: Array | None = None
    ) -> tuple[Array, Array, Variables]:
        """Codes int32 [B, h, w] and vectors [B, h, w, E] of images uint8 [B, H, W, C], and mutated collections."""
        vectors, changes = forward(self.encoder, networks[self.encoder_name], to_float(images), train=train, key=key)
        return nearest(vectors, embeddings_of(networks[self.codebook_name])), vectors, changes

    def decode(self, networks: Networks, codes: Array) -> Array:
        """The likelihood's parameters [B, H, W, P] for codes int32 [B, h, w]."""
        vectors = embeddings_of(networks[self.codebook_name])[codes]
        return forward(self.decoder, networks[self.decoder_name], vectors, train=False)[0]

    def reconstruct(self, networks: Networks, batch: Batch) -> Array:
        """The likelihood's means [B, H, W, C] at the codes of images."""
        return self.likelihood.mean(self.decode(networks, self.encode(networks, batch["image"])[0]))


def vector_quantized_loss(model: VQVAE, *, commitment: float = 0.25) -> Loss:
    """The loss (2), averaged over the batch, in nats per image; the codebook moves by (3).

    Its metrics: `distortion`, the first term; `commitment`; `perplexity`, the effective number of codes that
    a batch uses.
    """

    def loss(networks: Networks, context: Context) -> tuple[Array, Aux]:
        images = context.batch["image"]
        inner, outer = (stream(context, name).key for name in ("encoder", "decoder"))
        codes, vectors, encoder = model.encode(networks, images, train=True, key=inner)
        chosen = embeddings_of(networks[model.codebook_name])[codes]
        through = vectors + jax.lax.stop_gradient(chosen - vectors)
        dist_params, decoder = forward(model.decoder, networks[model.decoder_name], through, train=True, key=outer)
        distortion = -model.likelihood.log_prob(dist_params, images)
        distance = jnp.square(vectors - jax.lax.stop_gradient(chosen)).sum((-3, -2, -1))
        averages, perplexity = followed(
            networks[model.codebook_name]["averages"], codes, vectors, model.decay, context.key
        )
        metrics = {"distortion": mean(distortion), "commitment": mean(distance), "perplexity": perplexity}
        changes = {
            model.encoder_name: encoder,
            model.decoder_name: decoder,
            model.codebook_name: {"averages": averages},
        }
        return (distortion + commitment * distance).mean(), Aux(metrics, changes)

    return loss


def followed(averages: Variables, codes: Array, vectors: Array, decay: float, key: Array) -> tuple[Variables, Mean]:
    """The averages after (3), those of rare codes restarted, and the perplexity of the batch's codes."""
    flat = gather_batch(jax.lax.stop_gradient(vectors.reshape(-1, vectors.shape[-1])))
    used = jax.nn.one_hot(gather_batch(codes.ravel()), len(averages["share"]))
    share = decay * averages["share"] + (1 - decay) * used.mean(0)
    total = decay * averages["sum"] + (1 - decay) * jnp.matmul(used.T, flat, precision="highest") / len(flat)
    rare = share < RARE / len(share)
    fresh = flat[jax.random.choice(key, len(flat), (len(share),))] / len(share)
    averages = {
        "share": jnp.where(rare, 1 / len(share), share),
        "sum": jnp.where(rare[:, None], fresh, total),
    }
    now = used.mean(0)
    return averages, mean(jnp.exp(-(now * jnp.log(jnp.maximum(now, 1e-10))).sum()))


def nearest(vectors: Array, embeddings: Array) -> Array:
    """The codes int32 [...] of vectors [..., E], (1)."""
    # By default accelerators multiply in fewer bits, which can choose another code.
    distances = jnp.square(embeddings).sum(-1) - 2 * jnp.matmul(vectors, embeddings.T, precision="highest")
    return distances.argmin(-1).astype(jnp.int32)


def embeddings_of(codebook: Variables) -> Array:
    """The vectors [K, E] of a codebook."""
    return codebook["averages"]["sum"] / codebook["averages"]["share"][:, None]
