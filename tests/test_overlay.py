"""Maps over images."""

import numpy as np
import pytest

from attnbench.overlay import OPACITY, enlarged, grey, overlaid, spatial_means


def test_maps_that_vary_in_space_are_averaged_over_channels() -> None:
    maps = {"gate": np.ones((2, 3, 1, 1), np.float32), "mask": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)}
    found = spatial_means(maps)
    assert set(found) == {"mask"}
    assert found["mask"].tolist() == [[[4, 5], [6, 7]], [[16, 17], [18, 19]]]


def test_small_images_are_enlarged_pixel_by_pixel_and_large_ones_are_kept() -> None:
    picture = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert enlarged(picture, side=6).tolist() == [[[0, 0, 1, 1, 2, 2]] * 2 + [[3, 3, 4, 4, 5, 5]] * 2]
    large = np.zeros((3, 300, 200), np.float32)
    assert enlarged(large).shape == large.shape


def test_grey_is_the_luminance() -> None:
    picture = np.array([1, 0, 0], np.float32).reshape(3, 1, 1) * np.ones((3, 2, 4), np.float32)
    np.testing.assert_allclose(grey(picture), np.full((2, 4), 0.299), rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_map_lies_where_its_values_are(channels: int) -> None:
    values = np.zeros((4, 8), np.float32)
    values[3, 0] = 1  # below, on the left
    drawn = overlaid(np.full((channels, 8, 16), 0.5, np.float32), values, 0, 1, "gray")
    assert drawn.shape == (3, 96, 192)
    np.testing.assert_allclose(drawn[:, -1, 0], OPACITY + (1 - OPACITY) * 0.5, atol=1e-6)
    np.testing.assert_allclose(drawn[:, 0, -1], (1 - OPACITY) * 0.5, atol=1e-6)


def test_values_beyond_the_range_have_its_ends_colours() -> None:
    picture = np.zeros((1, 2, 2), np.float32)
    beyond = overlaid(picture, np.array([[-3, 5]], np.float32), 0, 1)
    np.testing.assert_array_equal(
        beyond[:, 0, [0, -1]], overlaid(picture, np.array([[0, 1]], np.float32), 0, 1)[:, 0, [0, -1]]
    )
