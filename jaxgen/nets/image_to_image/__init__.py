"""Networks from an image to an image, and their discriminator."""
