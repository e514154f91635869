"""Feature networks: classifiers and encoders whose features images and texts are compared by."""
