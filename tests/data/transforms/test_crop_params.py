"""Windows, flips and boxes: drawn and resampled as torchvision does, copied exactly, and boxes move along."""

import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from attnbench.data.transforms.crop_params import CROPS, DRAWS, CropParams, center_crops, draw_crops, stored_boxes
from attnbench.data.transforms.crop_resize import Normaliser, crop, crop_each

shapes = st.tuples(st.integers(20, 60), st.integers(20, 60))
CROP = st.sampled_from(CROPS)


def images(found: list[tuple[int, int]], seed: int = 0) -> tuple[list[NDArray[np.uint8]], torch.Tensor]:
    """Random images of these shapes, as a list and as one buffer of pixels."""
    generator = np.random.default_rng(seed)
    arrays = [generator.integers(0, 256, (height, width, 3)).astype(np.uint8) for height, width in found]
    return arrays, torch.from_numpy(np.concatenate([array.reshape(-1, 3) for array in arrays]))


def random_resized(height: int, width: int, draws: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """torchvision's `RandomResizedCrop.get_params`, one image at a time, on given uniform numbers."""
    area = height * width
    for attempt in range(10):
        target = area * (0.08 + (1 - 0.08) * draws[2 * attempt])
        low, high = math.log(3 / 4), math.log(4 / 3)
        aspect = math.exp(low + (high - low) * draws[2 * attempt + 1])
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(draws[21] * (width - w + 1)), int(draws[20] * (height - h + 1)), w, h
    ratio = width / height
    if ratio < 3 / 4:
        w, h = width, round(width / (3 / 4))
    elif ratio > 4 / 3:
        w, h = round(height * (4 / 3)), height
    else:
        w, h = width, height
    return (width - w) // 2, (height - h) // 2, w, h


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=8), st.integers(0, 99))
def test_random_resized_windows_are_torchvisions(found: list[tuple[int, int]], seed: int) -> None:
    draws = np.random.default_rng(seed).random((len(found), DRAWS))
    views = draw_crops("random_resized", True, np.array(found), 32, draws)
    expected = [random_resized(*shape, row) for shape, row in zip(found, draws, strict=True)]
    assert views.windows.tolist() == [list(window) for window in expected]


def test_where_no_try_fits_the_largest_window_is_central() -> None:
    for height, width in ((20, 400), (400, 20)):  # a strip: windows of the drawn areas are too high or too wide
        draws = np.full((1, DRAWS), 0.999)
        assert draw_crops("random_resized", False, np.array([(height, width)]), 32, draws).windows.tolist() == [
            list(random_resized(height, width, draws[0]))
        ]


def on_cpu(pixels: torch.Tensor, table: NDArray[np.int64], views: CropParams) -> torch.Tensor:
    """Views (N, 3, S, S), as a CPU cuts them."""
    return torch.stack(list(crop_each(pixels, table, views))).permute(0, 3, 1, 2).float()


@settings(max_examples=20)
@given(st.lists(shapes, min_size=1, max_size=5), st.sampled_from([torch.float32, torch.bfloat16]), st.booleans())
def test_views_are_normalised_in_single_precision(
    found: list[tuple[int, int]], dtype: torch.dtype, channels_last: bool
) -> None:
    _, pixels = images(found)
    table, mean, std = np.array(found), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    views = draw_crops("random_resized", True, table, 24, np.random.default_rng(1).random((len(found), DRAWS)))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    out = torch.empty(len(found), 3, 24, 24, dtype=dtype, memory_format=layout)
    threads = torch.get_num_threads()
    Normaliser(mean, std, torch.device("cpu"))(pixels, table, views, out)
    expected = F.normalize(on_cpu(pixels, table, views) / 255, list(mean), list(std))
    assert torch.allclose(out.float(), expected, atol=1e-5, rtol=0 if dtype == torch.float32 else 2**-8)
    assert torch.get_num_threads() == threads


@given(CROP, st.lists(shapes, min_size=1, max_size=5), st.integers(0, 99))
def test_windows_are_within_their_images(kind: str, found: list[tuple[int, int]], seed: int) -> None:
    table = np.array(found)
    views = draw_crops(kind, True, table, 20, np.random.default_rng(seed).random((len(found), DRAWS)))
    assert (views.windows >= [0, 0, 1, 1]).all()
    assert (views.windows[:, :2] + views.windows[:, 2:] <= table[:, ::-1]).all()


def test_draws_reach_every_place_and_both_sides() -> None:
    draws = np.random.default_rng(0).random((4000, DRAWS))
    views = draw_crops("random", True, np.full((4000, 2), (23, 22)), 20, draws)
    assert {tuple(window) for window in views.windows[:, :2]} == {(x, y) for x in range(3) for y in range(4)}
    assert 0.45 < views.flips.mean() < 0.55
    assert not draw_crops("random", False, np.full((4000, 2), (23, 22)), 20, draws).flips.any()


@given(st.lists(shapes, min_size=1, max_size=5))
def test_the_center_is_torchvisions(found: list[tuple[int, int]]) -> None:
    arrays, pixels = images(found)
    table = np.array(found)
    for result, array in zip(on_cpu(pixels, table, center_crops(table, 20)), arrays, strict=True):
        expected = F.center_crop(torch.from_numpy(array).permute(2, 0, 1), [20, 20])
        assert torch.equal(result, expected.float())


@given(st.lists(shapes, min_size=1, max_size=5), st.integers(0, 99))
def test_windows_of_the_wanted_size_are_copied_exactly(found: list[tuple[int, int]], seed: int) -> None:
    arrays, pixels = images(found)
    table = np.array(found)
    views = draw_crops("random", True, table, 20, np.random.default_rng(seed).random((len(found), DRAWS)))
    for result, array, (left, top, _, _), flip in zip(
        on_cpu(pixels, table, views), arrays, views.windows, views.flips, strict=True
    ):
        expected = array[top : top + 20, left : left + 20][:, :: -1 if flip else 1]
        assert np.array_equal(result.permute(1, 2, 0).numpy(), expected)


@settings(max_examples=30)
@given(st.lists(shapes, min_size=1, max_size=5), st.integers(0, 99), st.sampled_from([12, 32, 51]))
def test_other_windows_are_resampled_as_torchvision_does(found: list[tuple[int, int]], seed: int, size: int) -> None:
    arrays, pixels = images(found)
    table = np.array(found)
    views = draw_crops("random_resized", True, table, size, np.random.default_rng(seed).random((len(found), DRAWS)))
    results = crop(pixels, table, views)
    assert results.shape == (len(found), 3, size, size)
    assert (on_cpu(pixels, table, views) - results).abs().max() <= 1.5  # rounded to integers twice, its weights too
    for result, array, (left, top, width, height), flip in zip(
        results, arrays, views.windows.tolist(), views.flips, strict=True
    ):
        image = torch.from_numpy(array).permute(2, 0, 1).float()
        expected = F.resized_crop(image, top, left, height, width, [size, size], antialias=True)
        assert torch.allclose(result, F.horizontal_flip(expected) if flip else expected, atol=0.01)


def test_images_do_not_depend_on_their_neighbours() -> None:
    found = [(30, 40), (60, 21), (25, 25)]
    _, pixels = images(found)
    table = np.array(found)
    views = draw_crops("random_resized", True, table, 16, np.random.default_rng(3).random((3, DRAWS)))
    together, start = crop(pixels, table, views), 0
    for place, (height, width) in enumerate(found):
        one = slice(place, place + 1)
        alone = crop(
            pixels[start : start + height * width], table[one], CropParams(views.windows[one], views.flips[one], 16)
        )
        assert torch.allclose(together[one], alone, atol=1e-3)
        start += height * width


@settings(max_examples=150)
@given(CROP, shapes, st.integers(0, 999), st.data())
def test_a_marked_rectangle_and_its_box_agree(
    kind: str, shape: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    (height, width), size = shape, 20
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255
    table = np.array([shape])
    views = draw_crops(kind, True, table, size, np.random.default_rng(seed).random((1, DRAWS)))
    shown = crop(torch.from_numpy(image.reshape(-1, 3)), table, views)[0, 0].numpy()
    box = views.boxes(np.array([[left, top, right, bottom]], np.float32))[0]
    # an output's filter reaches a stored pixel to each side, or an output pixel where that is more
    reach = [0.5 if extent == size else 0.5 + max(1.0, size / extent) for extent in views.windows[0, 2:]]
    at = np.arange(size) + 0.5
    inside, touched = np.ones((size, size), bool), np.ones((size, size), bool)
    empty = box[2] - box[0] <= 0 or box[3] - box[1] <= 0
    for axis, (low, high) in ((1, box[[0, 2]]), (0, box[[1, 3]])):
        # a box that is cut at the border goes on beyond it
        first, last = (-np.inf if low <= 0 else low), (np.inf if high >= size else high)
        along = np.expand_dims(at, 1 - axis)
        inside &= (along - reach[1 - axis] >= first) & (along + reach[1 - axis] <= last)
        touched &= (along + reach[1 - axis] > low) & (along - reach[1 - axis] < high)
    if not empty:
        assert (shown[inside] > 254).all()
    assert (shown[~touched] < 1).all()


def test_exact_crops_move_boxes_exactly() -> None:
    views = CropParams(np.array([[5, 3, 20, 20], [5, 3, 20, 20], [0, 0, 40, 10]]), np.array([False, True, False]), 20)
    boxes = np.array([[6, 4, 10, 9], [6, 4, 10, 9], [10, 5, 60, 6]], np.float32)
    expected = [[1, 1, 5, 6], [15, 1, 19, 6], [5, 10, 20, 12]]
    assert views.boxes(boxes).tolist() == expected
    assert views.boxes(np.array([[0, 0, 2, 2]] * 3, np.float32))[0].tolist() == [0, 0, 0, 0]


def test_boxes_follow_the_stored_form() -> None:
    # stored at 100x50 (height x width) from 300x100
    assert stored_boxes(np.array([[10, 30, 20, 60]], np.float32), np.array([[100, 50, 300, 100]])).tolist() == [
        [5, 10, 10, 20]
    ]
