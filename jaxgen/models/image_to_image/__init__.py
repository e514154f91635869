"""Networks from an image to an image, and the tasks that they solve."""
