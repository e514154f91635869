"""Evaluation: numbers that say how good a model is, each with what is needed to see how sure it is."""

from jaxgen.evaluation.alignment import label_accuracy, retrieval_accuracy
from jaxgen.evaluation.cache import cached_features
from jaxgen.evaluation.classes import Classes, class_score, count_classes
from jaxgen.evaluation.classifiers import cifar10_network, digit_features, digit_network, packaged_network
from jaxgen.evaluation.colour import colourfulness
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance, gaussian_distance
from jaxgen.evaluation.image_features import Kind, describe, described, likeness
from jaxgen.evaluation.importance import negative_log_likelihood
from jaxgen.evaluation.inception import inception_network
from jaxgen.evaluation.judge import Reference, choose_network, judge, provenance, require_metrics
from jaxgen.evaluation.kernel import kernel_distance
from jaxgen.evaluation.latents import count_active_units, mutual_information_gap
from jaxgen.evaluation.likelihood import bits_per_dim, nats_per_example
from jaxgen.evaluation.matcher import Matcher, load_matcher, save_matcher
from jaxgen.evaluation.neighbours import Manifold, compare_manifolds, memorization
from jaxgen.evaluation.network import FeatureNetwork, Features, feature_network
from jaxgen.evaluation.perceptual import learned_perceptual_error, vgg_features
from jaxgen.evaluation.reconstruction import Reconstruction, compare_pairs
from jaxgen.evaluation.restoration import degraded, report_restoration
from jaxgen.evaluation.similarity import diversity, multi_scale_similarity, structural_similarity
from jaxgen.evaluation.text_to_image import evaluate_captions, hold_out_captions, with_embeddings

__all__ = [
    "Classes",
    "Estimate",
    "FeatureNetwork",
    "Features",
    "Gaussian",
    "Kind",
    "Manifold",
    "Matcher",
    "Reconstruction",
    "Reference",
    "bits_per_dim",
    "cached_features",
    "choose_network",
    "cifar10_network",
    "class_score",
    "colourfulness",
    "compare_manifolds",
    "compare_pairs",
    "count_active_units",
    "count_classes",
    "degraded",
    "describe",
    "described",
    "digit_features",
    "digit_network",
    "diversity",
    "evaluate_captions",
    "feature_network",
    "fit_gaussian",
    "frechet_distance",
    "gaussian_distance",
    "hold_out_captions",
    "inception_network",
    "judge",
    "kernel_distance",
    "label_accuracy",
    "learned_perceptual_error",
    "likeness",
    "load_matcher",
    "mean_of",
    "memorization",
    "multi_scale_similarity",
    "mutual_information_gap",
    "nats_per_example",
    "negative_log_likelihood",
    "packaged_network",
    "provenance",
    "report_restoration",
    "require_metrics",
    "retrieval_accuracy",
    "save_matcher",
    "structural_similarity",
    "vgg_features",
    "with_embeddings",
]
