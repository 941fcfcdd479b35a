"""What a lesson's figure must not hide: points under a legend, a circle, a picture of one value."""

import pytest
import torch

from phosphene.core.lesson import Images, Lesson, Plane, Points
from phosphene.evaluate.lesson_figure import lesson_figure


def drawn(panel):
    figure = lesson_figure(Lesson(title="", text="", numbers={}, panels=[panel]))
    figure.draw_without_rendering()
    return figure.axes[0]


@pytest.mark.parametrize("names", [1, 2, 8])
def test_a_legend_of_points_covers_none_of_them(names):
    sets = {f"a name {k}": torch.rand(50, 2) for k in range(names)}
    axes = drawn(Points(title="everywhere", x="x", y="y", sets=sets))
    legend, box = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert len(axes.get_legend().get_texts()) == names
    assert not legend.overlaps(box)
    assert legend.x0 >= 0
    assert legend.x1 <= axes.figure.bbox.x1
    assert legend.y0 >= 0


def test_a_circle_is_round_where_it_is_asked_for():
    angle = torch.linspace(0, 6.3, 50)
    lines = {"circle": torch.stack([angle.cos(), angle.sin()], 1)}
    for equal in (True, False):
        axes = drawn(Points(title="", lines=lines, equal=equal))
        across, up = axes.transData.transform([(1.0, 1.0)])[0] - axes.transData.transform((0, 0))
        assert (across == pytest.approx(up, rel=1e-3)) == equal


def test_a_picture_of_one_value_is_gray_and_says_it():
    images = torch.stack([torch.full((4, 4), 3.0), torch.arange(16.0).view(4, 4)])
    flat, other = (inset for inset in drawn(Images(title="", images=images)).child_axes)
    picture = flat.images[0]
    assert float(picture.norm(3.0)) == 0.5
    assert [text.get_text() for text in flat.texts] == ["3"]
    assert other.images[0].get_clim() == (0.0, 15.0)
    assert not other.texts


def test_a_picture_in_color_of_one_value_stays_as_it_is():
    (inset,) = drawn(Images(title="", images=torch.full((1, 4, 4, 3), 0.25))).child_axes
    assert not inset.texts


def test_a_square_of_the_plane_is_as_it_is_told():
    density = torch.arange(9.0).view(3, 3)  # the lowest row first
    paths = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [1.0, 0.5]]])
    panel = Plane(
        title="", size=2.0, density=density, arrows=torch.tensor([[0.0, 0.0, 0.3, 0.1]]),
        paths=paths, sets={"some": torch.rand(4, 2), "others": torch.rand(4, 2)},
    )  # fmt: skip
    axes = drawn(panel)
    picture = axes.images[0]
    assert picture.origin == "lower"
    assert float(picture.get_array()[0, 0]) == 0.0
    assert axes.get_xlim() == axes.get_ylim() == (-2, 2)
    line, begin, end = axes.lines
    assert line.get_xydata().tolist() == paths[0].tolist()
    assert begin.get_xydata().tolist() == [[0.0, 0.0]]
    assert end.get_xydata().tolist() == [[1.0, 0.5]]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["some", "others"]
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    colors = [group.get_facecolor()[0].tolist() for group in axes.collections[-2:]]
    assert colors[0] != colors[1]


def test_a_square_may_be_empty():
    assert not drawn(Plane(title="", size=1.0)).images
