"""Lessons run on tables of one's own, show what they say, and refuse what they cannot take."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_iris

import phosphene as ph
from phosphene.api.learn import learn
from phosphene.cli.main import main
from phosphene.core.errors import PhospheneError
from phosphene.core.lesson import Heat, Lesson
from phosphene.evaluate.lesson_figure import lesson_figure
from phosphene.learning.linear.lessons.labeled import labeled


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """Fisher's irises as somebody keeps them."""
    found = load_iris()
    path = tmp_path_factory.mktemp("tables") / "iris.csv"
    rows = ["sepal length,sepal width,petal length,petal width,species"]
    rows += [
        ",".join(map(str, [*x, found.target_names[y]]))
        for x, y in zip(found.data, found.target, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n")
    return f"csv:{path}"


def test_setosa_can_be_separated_and_the_other_two_cannot(iris):
    apart = learn("perceptron", data=iris, classes=("setosa", "virginica"))
    assert apart.numbers["separates_training_examples"]
    assert apart.numbers["mistakes"] <= apart.numbers["most_mistakes_by_margin_found"]
    mixed = learn("perceptron", data=iris, passes=60)
    assert not mixed.numbers["separates_training_examples"]
    assert "versicolor and virginica" in mixed.title
    pocket = learn("perceptron", data=iris, passes=60, pocket=True)
    assert pocket.numbers["training_accuracy"] >= mixed.numbers["training_accuracy"]
    assert mixed.numbers["xor_period_passes"] > 0


@pytest.mark.parametrize("classes", [("versicolor", "virginica"), ("virginica", "versicolor")])
def test_points_are_drawn_on_the_side_that_is_predicted(iris, classes):
    found = learn("perceptron", data=iris, classes=classes, passes=60, pocket=True)
    first, second = (found.panels[1].sets[name][:, 0] for name in classes)
    right = int((first <= 0).sum() + (second > 0).sum())
    assert right / (len(first) + len(second)) == found.numbers["test_accuracy"] > 0.8


def test_regressions_of_a_table(iris):
    found = learn("logistic-regression", data=iris)
    assert found.numbers["test_accuracy"] > 0.85
    paths = learn("ridge-and-lasso", data=iris, target="petal width", examples=60)
    assert paths.numbers["features"] == 3
    assert paths.numbers["test_error_of_lasso"] < 0.2
    assert "petal length" in paths.panels[0].lines


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """Ages that tell two classes apart, beside incomes that do not and are 10,000 times larger."""
    random = np.random.default_rng(0)
    young = np.arange(300) % 2 == 0
    age = np.where(young, 30.0, 50.0) + 3 * random.normal(size=300)
    income = 40_000 + 20_000 * random.normal(size=300)
    path = tmp_path_factory.mktemp("tables") / "units.csv"
    rows = ["age,income,same,group"]
    rows += [
        f"{a:.2f},{i:.0f},7,{'young' if k else 'old'}"
        for a, i, k in zip(age, income, young, strict=True)
    ]
    path.write_text("\n".join(rows) + "\n")
    return f"csv:{path}?label=group"


@pytest.mark.parametrize("topic", ["perceptron", "logistic-regression"])
def test_columns_of_different_units_count_alike(units, topic):
    assert learn(topic, data=units).numbers["test_accuracy"] > 0.95


def test_the_training_examples_scale_the_held_out_ones(units):
    train, test = ph.data.load(units, "train"), ph.data.load(units, "test")
    found = labeled(units)
    assert found.x.mean(0).abs().max() < 1e-6
    assert found.x.std(0).tolist() == pytest.approx([1, 1, 0], abs=1e-6)
    x = train.x.double()
    spread = torch.tensor([float(x[:, 0].std()), float(x[:, 1].std()), 1.0]).double()
    assert (found.test_x - (test.x.double() - x.mean(0)) / spread).abs().max() < 1e-6
    assert found.test_x[:, :2].mean(0).abs().min() > 1e-4  # held out, they have means of their own


def test_pixels_keep_a_common_scale():
    train, test = ph.data.load("digits", "train"), ph.data.load("digits", "test")
    found = labeled("digits")
    x, held_out = train.x.flatten(1).double(), test.x.flatten(1).double()
    spread = x.std(0).square().mean().sqrt()
    assert torch.allclose(found.x * spread + x.mean(0), x)
    assert torch.allclose(found.test_x * spread + x.mean(0), held_out)


def test_digits_are_the_default():
    perceptron = learn("perceptron")
    assert perceptron.title == "A perceptron between 3 and 9"
    few = learn("ridge-and-lasso", penalties=8)
    assert few.numbers["test_error_of_lasso"] < few.numbers["test_error_of_least_squares"]
    digits = learn("logistic-regression", classes=("0", "1", "2"))
    assert digits.numbers["test_accuracy"] > 0.97


@pytest.mark.parametrize("parameter", ["mean", "variance", "probability", "rate"])
def test_estimates_reach_the_bound(parameter):
    found = learn("maximum-likelihood", parameter=parameter, examples=160)
    assert found.numbers["variance_over_bound_from_160"] == pytest.approx(1, abs=0.12)
    assert found.numbers["slope_of_log_error"] == pytest.approx(-0.5, abs=0.12)


def test_the_others():
    universal = learn("universal-approximation", activation="sigmoid", target="bump").numbers
    assert universal["sup_error_sigmoid_128_units"] < 0.05 < universal["sup_error_x^2_128_units"]
    activations = learn("activations", layers=10, width=16).numbers
    assert activations["gradient_left_sigmoid"] < 1e-3 < activations["gradient_left_relu"]
    assert learn("jensen", function="absolute", weight=0.3).numbers["gap"] > 0
    assert learn("bayes", people=1000).numbers["ill_given_positive"] == pytest.approx(2 / 13)


def test_the_command_writes_a_figure_and_numbers(iris, tmp_path, capsys):
    out = tmp_path / "lesson"
    code = main(
        [
            "learn",
            "perceptron",
            "--data",
            iris,
            "--classes",
            "setosa",
            "virginica",
            "--out",
            str(out),
        ]
    )
    assert code == 0
    assert (out / "figure.png").stat().st_size > 1000
    told = json.loads((out / "numbers.json").read_text())
    assert told["options"]["classes"] == ["setosa", "virginica"]
    assert "setosa and virginica" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("topic", "options", "said"),
    [
        ("perceptron", {"classes": ("3",)}, "classes must be 2 different, got 3"),
        ("perceptron", {"classes": ("3", "3")}, "classes must be 2 different, got 3, 3"),
        ("perceptron", {"classes": ("1", "2", "3")}, "classes must be 2 different"),
        ("perceptron", {"classes": ("3", "nine")}, "unknown class of 'digits' 'nine'"),
        ("perceptron", {"data": "ring8"}, "has no labels"),
        ("perceptron", {"data": "moby-dick"}, "has no labels|learns from numbers"),
        ("perceptron", {"data": "digit"}, "did you mean 'digits'"),
        ("perceptron", {"passes": 0}, "passes must be at least 1"),
        ("perceptron", {"pockets": True}, "did you mean 'pocket'"),
        ("ridge-and-lasso", {"target": "64"}, "target must be a number from 0 to 63"),
        ("ridge-and-lasso", {"target": "0"}, "the target is the same in all examples"),
        ("ridge-and-lasso", {"data": "moby-dick"}, "learns from numbers"),
        ("logistic-regression", {"classes": ("3",)}, "2 different ones or more"),
        ("logistic-regression", {"alpha": 0.0}, "alpha must be above 0"),
        ("maximum-likelihood", {"parameter": "median"}, "parameter must be 'mean'"),
        ("universal-approximation", {"activation": "relo"}, "activation must be"),
        ("jensen", {"weight": 1.5}, "weight must be"),
        ("bayes", {"prior": 0.0}, "prior must be"),
    ],
)
def test_bad_options_are_one_sentence(topic, options, said):
    with pytest.raises(PhospheneError, match=said) as error:
        learn(topic, **options)
    assert "\n" not in str(error.value)


def test_unknown_column_offers_the_nearest(iris):
    with pytest.raises(PhospheneError, match="did you mean 'petal width'"):
        learn("ridge-and-lasso", data=iris, target="petal widht")


def test_a_table_without_labels_says_how_to_name_them(tmp_path):
    path = tmp_path / "numbers.csv"
    np.savetxt(path, torch.randn(40, 3).numpy(), delimiter=",", header="a,b,c", comments="")
    with pytest.raises(PhospheneError, match=r"csv:PATH\?label=COLUMN"):
        learn("perceptron", data=f"csv:{path}")


@pytest.mark.parametrize("topic", ["perceptron", "logistic-regression"])
@pytest.mark.parametrize("below", ["", "cats"])
def test_a_folder_without_classes_says_how_to_make_them(tmp_path, topic, below):
    folder = tmp_path / "photos" / below
    folder.mkdir(parents=True)
    for i in range(30):
        Image.fromarray(np.full((8, 8), 8 * i, np.uint8)).save(folder / f"{i}.png")
    with pytest.raises(PhospheneError, match="a subfolder for each class") as found:
        learn(topic, data=f"folder:{tmp_path / 'photos'}?size=8")
    assert "csv" not in str(found.value)


def test_the_texts_say_what_was_found(iris, units, tmp_path):
    path = tmp_path / "one.csv"
    rows = [f"{k % 2},{k % 2},{'ab'[k % 2]}" for k in range(60)]
    path.write_text("x,same,kind\n" + "\n".join(rows) + "\n")
    data = f"csv:{path}?label=kind"
    assert "It made 1 mistake in 2 passes" in learn("perceptron", data=data).text
    never = learn("perceptron", data=iris, passes=1).text
    assert "In pass 1 it" in never
    assert "--pocket" in never
    assert "each column has spread 1" in never
    assert "--pocket" not in learn("perceptron", data=iris, passes=1, pocket=True).text
    assert "pixels have a common scale" in learn("perceptron", passes=1).text

    paths = learn("ridge-and-lasso", data=iris, target="petal width", examples=60)
    used = paths.numbers["features_that_the_lasso_uses"]
    assert f"the lasso uses {used} of 3" in paths.text
    assert "most of them" not in paths.text

    for own in (learn("logistic-regression", data=iris), learn("logistic-regression", data=data)):
        penalties, nats = own.panels[1].lines["held out"]
        best = penalties[nats.index(min(nats))]
        assert f"alpha = {best:g} predicts the held-out ones best" in own.text
        assert ("with less" in own.text) == (best > min(penalties))


@pytest.mark.parametrize("options", [{"function": "minus-log"}, {"weight": 0.0}, {}])
def test_jensens_text_says_the_function_and_the_gap(options):
    found = learn("jensen", **options)
    assert ("-log(x + 3)" in found.text) == ("function" in options)
    assert ("below it" in found.text) == (found.numbers["gap"] > 1e-9)


def test_mistakes_are_told_by_the_names_of_the_classes(iris):
    table = learn("logistic-regression", data=iris).panels[2]
    assert table.rows == table.columns == ("setosa", "versicolor", "virginica")
    axes = lesson_figure(Lesson(title="", text="", numbers={}, panels=[table])).axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == list(table.columns)
    assert [t.get_text() for t in axes.get_yticklabels()] == list(table.rows)


def test_a_matrix_without_names_is_counted_in_whole_numbers():
    panel = Heat(title="", values=torch.eye(3))
    axes = lesson_figure(Lesson(title="", text="", numbers={}, panels=[panel])).axes[0]
    assert all(float(t).is_integer() for t in (*axes.get_xticks(), *axes.get_yticks()))
