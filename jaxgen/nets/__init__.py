"""Networks, the only place that imports Flax.  Each is a module without state of its own; `forward` runs it.

    gan              DCGAN*, Residual*, R3GAN*, StyleGenerator, TorusGenerator
    autoencoder      MLP*, Conv*, Residual*, Ladder*, Map*, Pyramid* encoders and decoders
    autoregressive   GatedPixelCNN, PixelCNNPlusPlus
    diffusion        DiT, DiffusionUNet
    image_to_image   UNet, ClassicCNN, PatchDiscriminator
    features         classifiers, Inception, VGG16, sentence and text encoders
    layers           convolutions, normalisation, dropout, resizing, conditioning, text, motion; forward

A network with a `dtype` computes in it; its parameters, statistics and outputs are float32.
"""

from flax.linen import Module

from jaxgen.nets.autoencoder.ladder import LadderDecoder, LadderEncoder
from jaxgen.nets.autoencoder.networks import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    ResidualDecoder,
    ResidualEncoder,
)
from jaxgen.nets.autoencoder.pyramid import PyramidDecoder, PyramidEncoder
from jaxgen.nets.autoencoder.vqvae import FromMap, MapDecoder, MapEncoder, MapPosterior
from jaxgen.nets.autoregressive.pixelcnn import GatedPixelCNN
from jaxgen.nets.autoregressive.pixelcnn_plus import PixelCNNPlusPlus
from jaxgen.nets.diffusion.dit import DiT
from jaxgen.nets.diffusion.unet import DiffusionUNet
from jaxgen.nets.features.bert import SentenceEncoder
from jaxgen.nets.features.classifier import ClipClassifier, DigitClassifier, ObjectClassifier
from jaxgen.nets.features.inception import InceptionV3
from jaxgen.nets.features.matching import Matching
from jaxgen.nets.features.vgg import VGG16
from jaxgen.nets.gan.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.nets.gan.r3gan import R3GANDiscriminator, R3GANGenerator
from jaxgen.nets.gan.residual import ResidualDiscriminator, ResidualGenerator
from jaxgen.nets.gan.style import StyleGenerator
from jaxgen.nets.gan.torus import TorusGenerator
from jaxgen.nets.image_to_image.patch import PatchDiscriminator
from jaxgen.nets.image_to_image.unet import ClassicCNN, UNet
from jaxgen.nets.layers.conv import Conv, ConvTranspose, conv, conv_transpose
from jaxgen.nets.layers.dropout import Dropout
from jaxgen.nets.layers.forward import dense_outputs, forward
from jaxgen.nets.layers.maps import WithMaps
from jaxgen.nets.layers.motion import MotionEncoder, WithMotion
from jaxgen.nets.layers.normalization import ConditionalBatchNorm, batch_norm
from jaxgen.nets.layers.resized_conv import ConvMeanPool, UpsampleConv
from jaxgen.nets.layers.resizing import halvings
from jaxgen.nets.layers.shifted import EVERYWHERE, Place, empty_memory, recall, with_ones
from jaxgen.nets.layers.text import TextEncoder, WithText

__all__ = [
    "EVERYWHERE",
    "VGG16",
    "ClassicCNN",
    "ClipClassifier",
    "ConditionalBatchNorm",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvMeanPool",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DiT",
    "DiffusionUNet",
    "DigitClassifier",
    "Dropout",
    "FromMap",
    "GatedPixelCNN",
    "InceptionV3",
    "LadderDecoder",
    "LadderEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "MapDecoder",
    "MapEncoder",
    "MapPosterior",
    "Matching",
    "Module",
    "MotionEncoder",
    "ObjectClassifier",
    "PatchDiscriminator",
    "PixelCNNPlusPlus",
    "Place",
    "PyramidDecoder",
    "PyramidEncoder",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResidualDecoder",
    "ResidualDiscriminator",
    "ResidualEncoder",
    "ResidualGenerator",
    "SentenceEncoder",
    "StyleGenerator",
    "TextEncoder",
    "TorusGenerator",
    "UNet",
    "UpsampleConv",
    "WithMaps",
    "WithMotion",
    "WithText",
    "batch_norm",
    "conv",
    "conv_transpose",
    "dense_outputs",
    "empty_memory",
    "forward",
    "halvings",
    "recall",
    "with_ones",
]
