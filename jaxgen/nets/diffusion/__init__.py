"""Networks of diffusion models."""
