"""Evaluation: how good a model is, with standard errors.

all metrics       evaluate  METRICS  Metric  Reference  Measures  choose_network  provenance
Fréchet           frechet_distance (FID)  fit_gaussian  gaussian_distance
kernel            kernel_distance (KID)
neighbours        compare_manifolds (precision, recall, density, coverage)
memorisation      memorization  training_neighbours  neighbour_grid
classes           class_score (IS)  count_classes  label_accuracy
diversity         diversity  multi_scale_similarity (MS-SSIM)
pairs of images   compare_pairs (MSE, PSNR, SSIM)  structural_similarity  learned_perceptual_error (LPIPS)
clips             compare_clips  repeat_last  extrapolate  compare_motion  frechet_of_clips  evaluate_predictions
colour            colourfulness
likelihood        negative_log_likelihood(s)  measure_bound  measure_flow  bits_per_dim  bits_of
latents           count_active_units  mutual_information_gap
text              retrieval_accuracy  Matcher  hold_out_captions  evaluate_captions  with_embeddings
                  evaluate_text_and_features
restoration       degraded  report_restoration
image features    describe  describe_shrunk  with_features  relative_distance
rewards           Goal  class_reward  picture_reward  pixel_reward  palette_reward  words_reward  own_reward
                  weighted_sum  score_by
networks          packaged_network  digit_network  cifar10_network  inception_network  feature_network
                  cached_features  vgg_features  resize
results           Estimate  mean_of  write_results  images_to_test  in_parts
"""

from jaxgen.evaluation.alignment import label_accuracy, retrieval_accuracy
from jaxgen.evaluation.cache import cached_features
from jaxgen.evaluation.classes import Classes, class_score, count_classes
from jaxgen.evaluation.classifiers import cifar10_network, digit_features, digit_network, packaged_network
from jaxgen.evaluation.clip_features import frechet_of_clips
from jaxgen.evaluation.colour import colourfulness
from jaxgen.evaluation.diffusion import BOUND, measure_bound, measure_flow
from jaxgen.evaluation.estimate import Estimate, mean_of
from jaxgen.evaluation.evaluate import (
    METRICS,
    choose_network,
    evaluate,
    meanings,
    needs_training,
    provenance,
    require_metrics,
)
from jaxgen.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance, gaussian_distance
from jaxgen.evaluation.image_features import Kind, describe, describe_shrunk, relative_distance, with_features
from jaxgen.evaluation.importance import negative_log_likelihood, negative_log_likelihoods
from jaxgen.evaluation.inception import inception_network
from jaxgen.evaluation.kernel import kernel_distance
from jaxgen.evaluation.latents import count_active_units, mutual_information_gap
from jaxgen.evaluation.likelihood import bits_of, bits_per_dim
from jaxgen.evaluation.matcher import Matcher, load_matcher, save_matcher
from jaxgen.evaluation.memorization import memorization
from jaxgen.evaluation.metric import Evaluated, Measures, Metric, Reference
from jaxgen.evaluation.moving_digits import DigitMotion, compare_motion
from jaxgen.evaluation.neighbours import Manifold, compare_manifolds
from jaxgen.evaluation.network import FeatureNetwork, Features, feature_network
from jaxgen.evaluation.parts import images_to_test, in_parts
from jaxgen.evaluation.perceptual import learned_perceptual_error, vgg_features
from jaxgen.evaluation.predictions import evaluate_predictions
from jaxgen.evaluation.reconstruction import Reconstruction, compare_pairs
from jaxgen.evaluation.resize import resize
from jaxgen.evaluation.restoration import degraded, report_restoration
from jaxgen.evaluation.results import Results, write_results
from jaxgen.evaluation.rewards import (
    Goal,
    class_reward,
    own_reward,
    palette_reward,
    picture_reward,
    pixel_reward,
    score_by,
    weighted_sum,
    words_reward,
)
from jaxgen.evaluation.similarity import diversity, multi_scale_similarity, structural_similarity
from jaxgen.evaluation.text_and_features import evaluate_text_and_features
from jaxgen.evaluation.text_to_image import evaluate_captions, hold_out_captions, with_embeddings
from jaxgen.evaluation.training_neighbours import TrainingNeighbours, neighbour_grid, training_neighbours
from jaxgen.evaluation.video import FrameErrors, compare_clips, extrapolate, repeat_last

__all__ = [
    "BOUND",
    "METRICS",
    "Classes",
    "DigitMotion",
    "Estimate",
    "Evaluated",
    "FeatureNetwork",
    "Features",
    "FrameErrors",
    "Gaussian",
    "Goal",
    "Kind",
    "Manifold",
    "Matcher",
    "Measures",
    "Metric",
    "Reconstruction",
    "Reference",
    "Results",
    "TrainingNeighbours",
    "bits_of",
    "bits_per_dim",
    "cached_features",
    "choose_network",
    "cifar10_network",
    "class_reward",
    "class_score",
    "colourfulness",
    "compare_clips",
    "compare_manifolds",
    "compare_motion",
    "compare_pairs",
    "count_active_units",
    "count_classes",
    "degraded",
    "describe",
    "describe_shrunk",
    "digit_features",
    "digit_network",
    "diversity",
    "evaluate",
    "evaluate_captions",
    "evaluate_predictions",
    "evaluate_text_and_features",
    "extrapolate",
    "feature_network",
    "fit_gaussian",
    "frechet_distance",
    "frechet_of_clips",
    "gaussian_distance",
    "hold_out_captions",
    "images_to_test",
    "in_parts",
    "inception_network",
    "kernel_distance",
    "label_accuracy",
    "learned_perceptual_error",
    "load_matcher",
    "mean_of",
    "meanings",
    "measure_bound",
    "measure_flow",
    "memorization",
    "multi_scale_similarity",
    "mutual_information_gap",
    "needs_training",
    "negative_log_likelihood",
    "negative_log_likelihoods",
    "neighbour_grid",
    "own_reward",
    "packaged_network",
    "palette_reward",
    "picture_reward",
    "pixel_reward",
    "provenance",
    "relative_distance",
    "repeat_last",
    "report_restoration",
    "require_metrics",
    "resize",
    "retrieval_accuracy",
    "save_matcher",
    "score_by",
    "structural_similarity",
    "training_neighbours",
    "vgg_features",
    "weighted_sum",
    "with_embeddings",
    "with_features",
    "words_reward",
    "write_results",
]
