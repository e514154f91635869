"""Autoregressive models of pixels and of codes, drawn incrementally, with guidance."""
