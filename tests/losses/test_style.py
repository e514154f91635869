import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.losses import channel_moments, gram_matrix, gram_style_loss, moment_style_loss, squared_error

SMALL, LARGE = (jax.random.normal(jax.random.key(side), (2, side, side + 1, 3)) for side in (4, 6))


def test_moments_are_those_of_each_image_and_channel():
    centre, deviation = channel_moments(LARGE)
    assert centre.shape == deviation.shape == (2, 1, 1, 3)
    np.testing.assert_allclose(centre[1, 0, 0, 2], np.mean(LARGE[1, ..., 2]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(deviation[1, 0, 0, 2], np.std(LARGE[1, ..., 2]), rtol=1e-4)


def test_gram_losses_and_their_gradients_are_those_of_pytorch(torch):
    ours, theirs = (torch.tensor(np.asarray(maps)).flatten(1, 2) for maps in (SMALL, LARGE))
    ours.requires_grad_()
    matrices = [maps.transpose(1, 2) @ maps / maps.shape[1] for maps in (ours, theirs)]
    np.testing.assert_allclose(gram_matrix(SMALL), matrices[0].detach(), rtol=1e-4, atol=1e-6)
    expected = torch.nn.functional.mse_loss(*matrices, reduction="none").mean((1, 2))
    np.testing.assert_allclose(gram_style_loss([SMALL], [LARGE]), expected.detach(), rtol=1e-4)
    expected.sum().backward()
    gradient = jax.grad(lambda maps: gram_style_loss([maps], [LARGE]).sum())(SMALL)
    np.testing.assert_allclose(gradient.reshape(2, 20, 3), ours.grad, rtol=1e-3, atol=1e-6)


def test_a_gram_matrix_of_orthogonal_channels_holds_their_mean_squares():
    maps = jnp.zeros((1, 2, 2, 2)).at[0, 0, 0, 0].set(2.0).at[0, 1, 1, 1].set(6.0)
    np.testing.assert_allclose(gram_matrix(maps), [[[1, 0], [0, 9]]])


def test_style_does_not_see_where_things_are_and_content_does():
    turned = LARGE[:, ::-1, ::-1]
    for loss in (moment_style_loss, gram_style_loss):
        np.testing.assert_allclose(loss([LARGE], [turned]), 0, atol=1e-9)
        assert (loss([LARGE], [2 * turned]) > 0.1).all()
    assert (squared_error(LARGE, turned) > 0.1).all()


def test_levels_add_up():
    for loss in (moment_style_loss, gram_style_loss):
        both = loss([SMALL, LARGE], [LARGE, SMALL])
        np.testing.assert_allclose(both, loss([SMALL], [LARGE]) + loss([LARGE], [SMALL]), rtol=1e-6)
