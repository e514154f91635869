"""Networks: the only place that imports Flax.  Each is a module without state of its own; `forward` runs it.

Where a network has a `dtype` it computes in that; its parameters, statistics and outputs are float32.
"""

from flax.linen import Module

from jaxgen.nets.autoencoder import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    ResidualDecoder,
    ResidualEncoder,
)
from jaxgen.nets.bert import SentenceEncoder
from jaxgen.nets.classifier import DigitClassifier, ObjectClassifier
from jaxgen.nets.conv import Conv, ConvTranspose, conv, conv_transpose
from jaxgen.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.nets.dropout import Dropout
from jaxgen.nets.forward import dense_outputs, forward
from jaxgen.nets.inception import InceptionV3
from jaxgen.nets.ladder import LadderDecoder, LadderEncoder
from jaxgen.nets.matching import Matching
from jaxgen.nets.modern import ModernDiscriminator, ModernGenerator
from jaxgen.nets.normalization import ConditionalBatchNorm, batch_norm
from jaxgen.nets.patch import PatchDiscriminator
from jaxgen.nets.pixelcnn import GatedPixelCNN
from jaxgen.nets.pixelcnn_plus import PixelCNNPlusPlus
from jaxgen.nets.pyramid import PyramidDecoder, PyramidEncoder
from jaxgen.nets.quantizer import MapDecoder, MapEncoder
from jaxgen.nets.residual_gan import ResidualDiscriminator, ResidualGenerator
from jaxgen.nets.resized_conv import ConvMeanPool, UpsampleConv
from jaxgen.nets.shifted import Place, empty_memory, recall, with_ones
from jaxgen.nets.style import StyleGenerator
from jaxgen.nets.text import TextEncoder, WithText
from jaxgen.nets.unet import ClassicCNN, UNet
from jaxgen.nets.vgg import VGG16

__all__ = [
    "VGG16",
    "ClassicCNN",
    "ConditionalBatchNorm",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvMeanPool",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DigitClassifier",
    "Dropout",
    "GatedPixelCNN",
    "InceptionV3",
    "LadderDecoder",
    "LadderEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "Matching",
    "ModernDiscriminator",
    "ModernGenerator",
    "Module",
    "ObjectClassifier",
    "PatchDiscriminator",
    "PixelCNNPlusPlus",
    "Place",
    "PyramidDecoder",
    "PyramidEncoder",
    "ResidualDecoder",
    "ResidualDiscriminator",
    "ResidualEncoder",
    "ResidualGenerator",
    "SentenceEncoder",
    "StyleGenerator",
    "TextEncoder",
    "UNet",
    "UpsampleConv",
    "WithText",
    "batch_norm",
    "conv",
    "conv_transpose",
    "dense_outputs",
    "empty_memory",
    "forward",
    "recall",
    "with_ones",
]
