"""Networks whose features images and texts are compared by."""
