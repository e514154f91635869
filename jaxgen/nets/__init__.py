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
from jaxgen.nets.forward import forward
from jaxgen.nets.inception import InceptionV3
from jaxgen.nets.ladder import LadderDecoder, LadderEncoder
from jaxgen.nets.normalization import batch_norm
from jaxgen.nets.quantizer import MapDecoder, MapEncoder

__all__ = [
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
    "Module",
    "ResidualDecoder",
    "ResidualEncoder",
    "batch_norm",
    "conv",
    "conv_transpose",
    "forward",
]
