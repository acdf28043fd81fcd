"""Scores of maps whose score is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.explain.panels import Floats
from attnbench.explain.scores import (
    THRESHOLDS,
    Cuts,
    best_cuts,
    coverage,
    energy,
    iou,
    maxima,
    overlaps,
    pointing,
    reference_maps,
    resize_maps,
    score_maps,
)

HEIGHT, WIDTH = 12, 20
BOX = np.array([[13, 2, 18, 6]], np.float32)  # left, top, right, bottom: to the right, and above the middle


def of_box(box: Floats = BOX) -> Floats:
    """The map that is the box itself."""
    return coverage(box, HEIGHT, WIDTH)


@st.composite
def boxes(draw: st.DrawFn) -> Floats:
    """A box with whole edges inside the image."""
    left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    right, bottom = draw(st.integers(left + 1, WIDTH)), draw(st.integers(top + 1, HEIGHT))
    return np.array([[left, top, right, bottom]], np.float32)


@given(boxes())
def test_the_box_itself_has_every_score(box: Floats) -> None:
    scores = score_maps(of_box(box), box)
    assert {name: values.tolist() for name, values in scores.items()} == {name: [1.0] for name in scores}


@given(boxes())
def test_a_uniform_map_has_the_boxes_area_as_energy_and_points_at_the_centre(box: Floats) -> None:
    uniform = reference_maps(1, HEIGHT, WIDTH)["uniform"]
    left, top, right, bottom = box[0].tolist()
    area = (right - left) * (bottom - top) / (HEIGHT * WIDTH)
    scores = score_maps(uniform, box)
    assert scores["energy_in_box"][0] == pytest.approx(area, rel=1e-5)
    assert maxima(uniform).tolist()[0] in [[5, 9], [5, 10], [6, 9], [6, 10]]
    assert scores["box_accuracy"][0] == (area >= 0.5)


@given(boxes())
def test_the_energies_of_a_box_and_of_the_rest_sum_to_one(box: Floats) -> None:
    maps = np.random.default_rng(0).random((1, HEIGHT, WIDTH), np.float32)
    inside = energy(maps, box)
    rest = maps * (1 - coverage(box, HEIGHT, WIDTH))
    assert inside[0] + rest.sum() / maps.sum() == pytest.approx(1, rel=1e-4)


def test_a_swapped_axis_is_caught() -> None:
    square = np.array([[1, 7, 4, 11]], np.float32)
    swapped = coverage(square[:, [1, 0, 3, 2]], HEIGHT, HEIGHT)
    assert score_maps(coverage(square, HEIGHT, HEIGHT), square)["energy_in_box"] == 1
    assert all(values == 0 for name, values in score_maps(swapped, square).items() if "15px" not in name)


def test_a_map_without_evidence_scores_nothing() -> None:
    scores = score_maps(np.zeros((1, HEIGHT, WIDTH), np.float32), BOX)
    assert all(values.tolist() == [0] for values in scores.values())


def test_pixels_are_covered_in_part() -> None:
    part = coverage(np.array([[0.5, 0.25, 1.5, 1]], np.float32), 2, 2)[0]
    assert part.tolist() == [[0.375, 0.375], [0, 0]]


@pytest.mark.parametrize(("column", "distance"), [(12, 0.5), (10, 2.5), (17, 0), (19, 1.5)])
def test_tolerance_is_the_distance_to_the_box(column: int, distance: float) -> None:
    maps = np.zeros((1, HEIGHT, WIDTH), np.float32)
    maps[0, 3, column] = 1
    assert pointing(maps, BOX)[0] == (distance == 0)
    assert pointing(maps, BOX, distance + 0.01)[0]
    assert distance == 0 or not pointing(maps, BOX, distance)[0]  # the reference's comparison is strict


def test_iou_by_hand() -> None:
    assert iou(np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2]]), np.array([0, 0, 2, 2], np.float32)).tolist() == [
        1, pytest.approx(1 / 7), 0,
    ]  # fmt: skip


def test_the_largest_region_and_the_best_one_differ() -> None:
    maps = 0.6 * of_box(np.array([[0, 0, 8, 8]], np.float32)) + of_box()
    found = overlaps(maps, BOX)
    low, high = THRESHOLDS.searchsorted(0.3), THRESHOLDS.searchsorted(0.7)
    assert (found.largest[0, low], found.best[0, low]) == (0, 1)  # two regions, the wrong one is larger
    assert (found.largest[0, high], found.best[0, high]) == (1, 1)  # the right one is left
    chosen = best_cuts(found)
    assert THRESHOLDS[chosen.v1] >= 0.6
    kept = Cuts(int(low), (int(low),) * 3)
    scores = score_maps(maps, BOX, kept)
    assert (scores["box_accuracy"][0], scores["box_accuracy_v2"][0]) == (0, 1)


def test_regions_touch_at_corners() -> None:
    maps = np.zeros((1, HEIGHT, WIDTH), np.float32)
    maps[0, [2, 3, 4], [13, 14, 15]] = 1
    assert overlaps(maps, np.array([[13, 2, 16, 5]], np.float32)).largest[0, 50] == 1


def test_v2_is_the_mean_over_three_ious() -> None:
    box = np.array([[0, 0, 10, 10]], np.float32)
    maps = coverage(np.array([[0, 0, 10, 6]], np.float32), HEIGHT, WIDTH)  # IoU 0.6
    scores = score_maps(maps, box)
    assert (scores["box_accuracy"][0], scores["box_accuracy_v2"][0]) == (1, pytest.approx(2 / 3))


def test_maps_are_resized_as_the_library_does_it_and_negative_values_are_no_evidence() -> None:
    import cv2

    maps = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)
    resized = resize_maps(maps, HEIGHT, WIDTH)
    expected = [cv2.resize(np.maximum(values, 0), (WIDTH, HEIGHT)) for values in maps]
    np.testing.assert_allclose(resized, expected, atol=1e-5)


def test_the_gaussian_is_centred_and_symmetric() -> None:
    gaussian = reference_maps(3, 10, 20)["centred Gaussian"]
    assert gaussian.shape == (3, 10, 20)
    np.testing.assert_allclose(gaussian, gaussian[:, ::-1, ::-1], rtol=1e-5)
    rows = gaussian[0].sum(1)
    centres = np.arange(10) + 0.5
    deviation = np.sqrt((rows * (centres - 5) ** 2).sum() / rows.sum())
    assert deviation == pytest.approx(0.22 * 10, rel=0.02)  # a quarter, but for what is cut off at the border
