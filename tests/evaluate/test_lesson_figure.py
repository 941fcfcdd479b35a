"""What a lesson's figure must not hide: points under a legend, a circle, a picture of one value."""

import pytest
import torch

from phosphene.core.lesson import Images, Lesson, Points
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
