"""Diffusion models and flow matching."""
