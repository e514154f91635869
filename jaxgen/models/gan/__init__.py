"""Generative adversarial networks: the game, its regularisers, augmentation, conditions, shared images."""
