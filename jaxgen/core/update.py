"""Updates, and updates from updates.

    minimize      (params, s) <- tx(grad loss, s)               one optimiser over one or more networks
    simultaneous  the same for each player of a game            one forward pass, one pull-back a player
    chain         u_n . ... . u_1                               one after another
    when          u if predicate(step) else identity
    every         u if step % k == 0 else identity
    until         u if step < n else identity
    phases        u_1 if step < n else u_2                      two ways to train one network, one after the other
    ema           average <- decay average + (1 - decay) network

An `Update` is a value: what is not here is written by hand as a pair `(init, update)`.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from jaxgen.core.batch import gather_networks, mean_over_devices, scatter_gradients
from jaxgen.core.checks import (
    require_loss,
    require_networks,
    require_one_owner,
    require_period,
    require_result,
    require_scalar,
    require_trainable,
)
from jaxgen.core.metrics import mean, prefixed
from jaxgen.core.objective import stream, with_changes
from jaxgen.core.types import Array, Context, Game, Loss, Networks, OptState, PyTree, Update


def minimize(loss: Loss, tx: optax.GradientTransformation, *, wrt: str | tuple[str, ...]) -> Update:
    """One optimiser over the parameters of the networks `wrt`.

    Accumulation, clipping, schedules and skipping of non-finite steps are optax's: put them into `tx`.
    """
    names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    tx = optax.with_extra_args_support(tx)

    def init(networks: Networks):
        require_trainable(names, networks)
        return networks, tx.init(parameters(networks, names))

    def update(networks: Networks, opt_state: OptState, context: Context):
        whole, params = gather_networks(networks), parameters(networks, names)

        def objective(params):
            return require_loss(loss(with_parameters(whole, params), context), f"The loss of minimize(wrt={wrt!r})")

        (value, aux), gradients = jax.value_and_grad(objective, has_aux=True)(parameters(whole, names))
        value, gradients, changes = mean_over_devices((value, gradients, aux.changes))
        steps, opt_state = tx.update(scatter_gradients(gradients), opt_state, params, value=value)
        networks = with_changes(networks, changes)
        metrics = {**aux.metrics, "loss": mean(value)}
        return with_parameters(networks, moved(params, steps, context)), opt_state, metrics

    return Update(init, update, owns=names, losses=("loss",))


def simultaneous(game: Game, txs: Mapping[str, optax.GradientTransformation]) -> Update:
    """A game in which each network descends its own loss, all from the same forward pass.

    `game` gives one scalar for each network of `txs`.  A player's gradient flows through the other players' networks
    and updates only its own.
    """
    names = tuple(txs)
    txs = {name: optax.with_extra_args_support(tx) for name, tx in txs.items()}

    def init(networks: Networks):
        require_trainable(names, networks)
        return networks, {name: txs[name].init(parameters(networks, (name,))) for name in names}

    def update(networks: Networks, opt_state: OptState, context: Context):
        whole = gather_networks(networks)

        def play(params):
            values, aux = require_result(game(with_parameters(whole, params), context), "The game")
            if set(values) != set(names):
                raise ValueError(f"The game has losses for {sorted(values)}; expected one for each of {sorted(names)}.")
            return {name: require_scalar(values[name], f"The loss of {name!r}") for name in names}, aux

        values, pull_back, aux = jax.vjp(play, parameters(whole, names), has_aux=True)
        values, changes = mean_over_devices((values, aux.changes))
        after, states = {}, {}
        for name in names:
            (gradients,) = pull_back({other: jnp.full_like(values[other], other == name) for other in names})
            own = parameters(networks, (name,))
            gradient = scatter_gradients(mean_over_devices({name: gradients[name]}))
            steps, states[name] = txs[name].update(gradient, opt_state[name], own, value=values[name])
            after |= moved(own, steps, context)
        metrics = {**aux.metrics, **{f"{name}/loss": mean(values[name]) for name in names}}
        return with_parameters(with_changes(networks, changes), after), states, metrics

    return Update(init, update, owns=names, losses=tuple(f"{name}/loss" for name in names))


def chain(**links: Update) -> Update:
    """One update after another; the names become state keys, metric prefixes and key streams."""
    return _linked(links, require_one_owner)


def _linked(links: Mapping[str, Update], check: Callable[[Mapping[str, Update]], None]) -> Update:
    def init(networks: Networks):
        check(links)
        opt_state = {}
        for name, link in links.items():
            networks, opt_state[name] = link.init(networks)
        return networks, opt_state

    def update(networks: Networks, opt_state: OptState, context: Context):
        states, metrics = {}, {}
        for name, link in links.items():
            networks, states[name], measured = link.update(networks, opt_state[name], stream(context, name))
            metrics |= prefixed(name, measured)
        return networks, states, metrics

    owns = tuple(dict.fromkeys(network for link in links.values() for network in link.owns))
    return Update(init, update, owns, tuple(f"{name}/{loss}" for name, link in links.items() for loss in link.losses))


def every(k: int, update: Update) -> Update:
    """The update on every k-th step of the run; in between nothing changes and nothing is measured."""
    require_period(k)
    return when(lambda step: step % k == 0, update)


def until(n: int, update: Update) -> Update:
    """The update on the first n steps of the run; after that nothing changes and nothing is measured."""
    return when(lambda step: step < n, update)


def phases(n: int, *, before: Update, after: Update) -> Update:
    """`before` on the first n steps of the run and `after` from then on: they may own the same networks."""
    links = {"before": until(n, before), "after": when(lambda step: step >= n, after)}
    return _linked(links, lambda _: None)


def when(predicate: Callable[[Array], Array], update: Update) -> Update:
    """The update on the steps of the run, int32 [], for which `predicate` holds; on others nothing is measured."""

    def conditional(networks: Networks, opt_state: OptState, context: Context):
        def run():
            return update.update(networks, opt_state, context)

        def skip():
            nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(run)[2])
            return networks, opt_state, nothing

        return jax.lax.cond(predicate(context.step), run, skip)

    return update._replace(update=conditional)


def ema(of: str, into: str, decay: float | Callable[[Array], Array]) -> Update:
    """An exponential moving average of a network, statistics included: a network like any other.

    `decay` is a number or a schedule of the step; whole-number leaves are copied.  The average starts as a copy of the
    network unless one of that name is given.
    """

    def init(networks: Networks):
        require_networks([of], networks)
        return {into: jax.tree.map(jnp.copy, networks[of]), **networks}, ()

    def update(networks: Networks, opt_state: OptState, context: Context):
        keep = decay(context.step) if callable(decay) else decay

        def average(old: Array, new: Array) -> Array:
            mixed = keep * old + (1 - keep) * new
            return mixed.astype(old.dtype) if jnp.issubdtype(old.dtype, jnp.inexact) else new

        return {**networks, into: jax.tree.map(average, networks[into], networks[of])}, opt_state, {}

    return Update(init, update, owns=(into,))


def moved(params: dict, steps: PyTree, context: Context) -> dict:
    """The parameters after an optimiser's steps, scaled by the context's `lr_scale`."""
    steps = jax.tree.map(lambda step: (context.lr_scale * step).astype(step.dtype), steps)
    return optax.apply_updates(params, steps)  # pyright: ignore[reportReturnType]


def parameters(networks: Networks, names: tuple[str, ...]) -> dict:
    """The parameters of the named networks, by name."""
    return {name: networks[name]["params"] for name in names}


def with_parameters(networks: Networks, params: PyTree) -> dict[str, dict]:
    """The networks with the parameters of the named ones replaced."""
    return with_changes(networks, {name: {"params": value} for name, value in params.items()})
