"""Latent spaces: what can be controlled, directions in them, pictures of them."""
