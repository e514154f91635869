"""Networks: the only place that imports Flax.  Each is a module without state of its own; `forward` runs it."""

from flax.linen import Module

from jaxgen.nets.autoencoder import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    ResidualDecoder,
    ResidualEncoder,
)
from jaxgen.nets.classifier import DigitClassifier
from jaxgen.nets.conv import Conv, ConvTranspose, conv, conv_transpose
from jaxgen.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.nets.forward import dense_outputs, forward
from jaxgen.nets.inception import InceptionV3
from jaxgen.nets.ladder import LadderDecoder, LadderEncoder
from jaxgen.nets.modern import ModernDiscriminator, ModernGenerator
from jaxgen.nets.normalization import ConditionalBatchNorm, batch_norm
from jaxgen.nets.pyramid import PyramidDecoder, PyramidEncoder
from jaxgen.nets.quantizer import MapDecoder, MapEncoder
from jaxgen.nets.residual_gan import ResidualDiscriminator, ResidualGenerator
from jaxgen.nets.style import StyleGenerator

__all__ = [
    "ConditionalBatchNorm",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DigitClassifier",
    "InceptionV3",
    "LadderDecoder",
    "LadderEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "ModernDiscriminator",
    "ModernGenerator",
    "Module",
    "PyramidDecoder",
    "PyramidEncoder",
    "ResidualDecoder",
    "ResidualDiscriminator",
    "ResidualEncoder",
    "ResidualGenerator",
    "StyleGenerator",
    "batch_norm",
    "conv",
    "conv_transpose",
    "dense_outputs",
    "forward",
]
