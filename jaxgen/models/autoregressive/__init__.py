"""Autoregressive models of pixels and of the codes of a VQ-VAE, incremental sampling, guidance."""
