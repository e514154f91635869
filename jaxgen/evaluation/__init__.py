"""Evaluation: numbers that say how good a model is."""

from jaxgen.evaluation.frechet import frechet_distance

__all__ = ["frechet_distance"]
