"""Networks in the place of which their averages stand."""

from jaxgen.types import Networks

SUFFIX = "_ema"


def averaged(networks: Networks) -> Networks:
    """The networks, each that has an average of its name with "_ema" replaced by that.

    >>> averaged({"encoder": {}, "decoder": {}, "decoder_ema": {"params": 1}})["decoder"]
    {'params': 1}
    """
    return {name: networks.get(name + SUFFIX, variables) for name, variables in networks.items()}
