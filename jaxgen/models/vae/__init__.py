"""Variational autoencoders: bounds, posteriors, priors, hierarchies."""
