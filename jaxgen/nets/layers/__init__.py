"""Layers that the networks share, and a module as a pure function of its variables."""
