"""The algebra of losses and updates, and its ground: trees, batches over devices, images, conditions."""
