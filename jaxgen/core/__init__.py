"""The algebra of losses and updates, and the types beneath the models: trees, batches, images, conditions, samplers."""
