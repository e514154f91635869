"""Panoramas against denoisers whose larger images are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import InputError
from jaxgen.models.diffusion import (
    Windows,
    classifier_free,
    euler,
    heun,
    in_batches,
    karras_grid,
    linear,
    panorama,
    variance_exploding,
)
from tests.models.exact_diffusion import exact_denoiser, gaussian_denoiser, solved

SCHEDULE = linear()
ROWS, COLUMNS = Windows(4, 2), Windows(8, 5, wraps=True)
X = jax.random.normal(jax.random.key(0), (2, 6, 24, 3))
T = jnp.array([0.3, 0.8])


def of_its_places(x, t):
    """A denoiser of windows that depends on where in its window a pixel is, and on the whole window."""
    places = jnp.linspace(-1, 1, x.shape[1] * x.shape[2]).reshape(1, *x.shape[1:3], 1)
    return jnp.tanh(x * places + t[:, None, None, None] + x.mean((1, 2), keepdims=True))


def by_hand(denoiser, x, t, rows, columns):
    """The windows one by one, added up at their places with the weights of tents."""
    total, weight = np.zeros(x.shape), np.zeros(x.shape[1:3])
    tents = [np.minimum(np.arange(size) + 1, size - np.arange(size)) for size in (rows.size, columns.size)]
    for top in rows.starts(x.shape[1]):
        for left in columns.starts(x.shape[2]):
            place = np.ix_((top + np.arange(rows.size)) % x.shape[1], (left + np.arange(columns.size)) % x.shape[2])
            total[:, *place] += np.outer(*tents)[..., None] * np.asarray(denoiser(x[:, *place], t))
            weight[place] += np.outer(*tents)
    return total / weight[..., None]


@pytest.mark.parametrize("rows", [ROWS, Windows(4, 3, wraps=True), Windows(6)])
@pytest.mark.parametrize("columns", [COLUMNS, Windows(9, 4), Windows(6, 2, wraps=True)])
def test_windows_are_averaged_by_their_weights(rows, columns):
    ours = jax.jit(panorama(rows, columns)(of_its_places))(X, T)
    np.testing.assert_allclose(ours, by_hand(of_its_places, X, T, rows, columns), atol=1e-5)


def test_one_window_is_the_denoiser_and_independent_pixels_have_the_denoiser_of_one():
    alone = panorama(Windows(6, wraps=True), Windows(24))(of_its_places)
    np.testing.assert_array_equal(jax.jit(alone)(X, T), jax.jit(of_its_places)(X, T))
    pixels = exact_denoiser(SCHEDULE)
    ours, expected = jax.jit(lambda *inputs: (panorama(ROWS, COLUMNS)(pixels)(*inputs), pixels(*inputs)))(X, T)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)  # weights that add up to 1, rounded


def test_what_wraps_has_no_beginning_to_the_last_bit():
    denoise = panorama(Windows(4, 3, wraps=True), COLUMNS)(of_its_places)
    times = karras_grid(3)(SCHEDULE)

    @jax.jit
    def draw(noise):
        return solved(heun, SCHEDULE, times, noise, lambda x, t: denoise(x, jnp.full(2, t)))

    drawn = draw(X)
    for shift in ((1, 0), (5, 0), (0, 3), (0, 21), (2, 9)):
        np.testing.assert_array_equal(draw(jnp.roll(X, shift, (1, 2))), np.roll(drawn, shift, (1, 2)))
    assert (draw(jnp.roll(X, 1, 2)) != np.roll(drawn, 1, 2)).any()


def test_conditions_go_with_their_images_and_batches_change_nothing():
    def conditional(x, t, mean):
        return of_its_places(x, t) + mean[:, None, None]

    whole, seen = panorama(ROWS, COLUMNS), []

    def counted(x, *inputs):
        seen.append(len(x))
        return classifier_free(2.0)(conditional)(x, *inputs)

    mean = jnp.arange(6.0).reshape(2, 3)
    # As tanh is the same with either condition, guidance doubles the condition's part.
    expected = whole(of_its_places)(X, T) + 2 * mean[:, None, None]
    for most, size in ((100, 32), (32, 32), (12, 11)):
        ours = jax.jit(whole(in_batches(most)(counted)))(X, T, mean)
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        assert seen.pop() == size


def test_differences_across_the_seam_are_those_inside():
    # Windows of a stationary Gaussian process, whose denoiser is exact: the seam is inside of some.
    size, width, draws, schedule = 8, 24, 3_000, variance_exploding()
    distance = abs(jnp.arange(size)[:, None] - jnp.arange(size))
    exact = gaussian_denoiser(schedule, jnp.zeros((1, size, 1)), jnp.exp(-distance / 4.0))
    times = karras_grid(16)(schedule)

    def squares(windows):
        denoise = panorama(Windows(1), windows)(exact)
        noise = times[0] * jax.random.normal(jax.random.key(1), (draws, 1, width, 1))
        drawn = jax.jit(lambda x: solved(euler, schedule, times, x, lambda x, t: denoise(x, jnp.full(draws, t))))(noise)
        return jnp.square(drawn - jnp.roll(drawn, 1, 2))[:, 0, :, 0]  # the first is across the seam

    wrapped, open_ended = squares(Windows(size, size // 2, wraps=True)), squares(Windows(size, size // 2))
    # Every fourth column begins a window, as the first one does.
    inside = wrapped[:, 4::4].mean(1)
    error = jnp.std(wrapped[:, 0] - inside) / jnp.sqrt(draws)
    assert abs(wrapped[:, 0].mean() - inside.mean()) < 4 * error
    assert open_ended[:, 0].mean() > 2 * open_ended[:, 1:].mean()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Windows(8, 8), "Windows of 8 pixels cannot overlap by 8"),
        (Windows(8, -1), "cannot overlap by -1"),
        (Windows(32, 16), "A panorama: windows of 32 that overlap by 16 cover at least 32 pixels"),
        (Windows(8, 3), "windows of 8 that overlap by 3 cover 23 or 28 pixels"),
        (Windows(8, 3, wraps=True), "cover 20 or 25 pixels"),
        (Windows(20, 3, wraps=True), "cover at least 34 pixels"),
    ],
)
def test_windows_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        panorama(ROWS, columns)(of_its_places)(X, T)
