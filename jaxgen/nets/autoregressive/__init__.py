"""Networks that predict each pixel from the pixels before it."""
