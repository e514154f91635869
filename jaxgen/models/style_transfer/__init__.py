"""Style transfer by adaptive instance normalisation and by optimisation."""
