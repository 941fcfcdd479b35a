"""Which columns condition which, by name: in Python, of any order, and of data that are other."""

from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.data.context_parts import Conditions, as_table, load_given
from phosphene.data.dataset import Dataset

TABLE = Dataset(
    name="t",
    split="train",
    event=ph.Event.real(3),
    x=torch.arange(12.0).view(4, 3),
    y=torch.tensor([0, 1, 0, -1]),
    classes=("no", "yes"),
    columns=("a", "x0", "x1"),
)


def test_columns_move_from_the_examples_to_their_condition() -> None:
    told = Conditions.parse("vector:a,x1").applied(TABLE)
    assert (told.columns, told.vector_columns) == (("x0",), ("a", "x1"))
    assert torch.equal(told.x, TABLE.x[:, 1:2])
    assert told.vector is not None
    assert torch.equal(told.vector, TABLE.x[:, [0, 2]])
    assert told.event == ph.Event.real(1)
    group = Conditions.parse("vector:x").applied(TABLE)
    assert (group.columns, group.vector_columns) == (("a",), ("x0", "x1"))
    assert group.context == ph.ContextSpec(label=2, vector=ph.Event.real(2))
    x, context = group.take(torch.tensor([2, 0]))
    assert torch.equal(torch.cat([x, context.vector], 1), TABLE.x[[2, 0]])  # type: ignore[list-item]
    moments = group.vector_moments
    assert moments is not None
    assert moments.names == ("x0", "x1")


@pytest.mark.parametrize(
    ("said", "kind", "part"),
    [
        ("vectr:a", UnknownNameError, "did you mean 'vector'"),
        ("vector:", ConfigError, "vector:COLUMN"),
        ("image:a", ConfigError, "vector:COLUMN"),
        ("label:a,b", ConfigError, "one column"),
        (["label", "none"], ConfigError, "stands alone"),
        (["label", "label"], ConfigError, "names 'label' twice"),
        (["vector:a", "vector:x0"], ConfigError, "stand together"),
        ([], ConfigError, "context is empty"),
        ("vector:b", UnknownNameError, "column of 't' 'b'"),
        ("vector:a,a", ConfigError, "twice"),
        ("vector:a,x0,x1", ConfigError, "none is left to model"),
    ],
)
def test_bad_conditions_are_one_sentence(said: object, kind: type[Exception], part: str) -> None:
    with pytest.raises(kind) as caught:
        Conditions.parse(said).applied(TABLE)  # type: ignore[arg-type]
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_with_commas_stand_in_quotes() -> None:
    said = Conditions.parse('vector:"a, b",c')
    assert said.columns == ("a, b", "c")
    assert Conditions.parse(said.text) == said


def test_images_have_no_columns() -> None:
    with pytest.raises(ConfigError, match="no table with columns: its context is label"):
        load_given("digits", "test", ["vector:a"])
    with pytest.raises(ConfigError, match="no option 'label'"):
        load_given("digits", "test", ["label:a"])


def test_other_data_are_brought_into_the_order_that_a_model_knows() -> None:
    other = Dataset(
        name="o",
        split="test",
        event=ph.Event.real(3),
        x=TABLE.x[:, [2, 0, 1]],
        y=torch.tensor([1, 0, 1, -1]),
        classes=("yes", "no"),
        columns=("x1", "a", "x0"),
    )
    same = as_table(other, TABLE.columns, (), TABLE.classes)
    assert torch.equal(same.x, TABLE.x)
    assert same.y is not None
    assert torch.equal(same.y, torch.tensor([0, 1, 0, -1]))
    told = as_table(other, ("x0",), ("a", "x1"), ())
    assert told.vector is not None
    assert torch.equal(told.vector, TABLE.x[:, [0, 2]])
    with pytest.raises(DataError, match="lacks the column 'z'"):
        as_table(other, ("z", "a"), (), ())
    with pytest.raises(DataError, match="2 examples of classes such as 'no'"):
        as_table(other, (), (), ("yes", "maybe"))


def test_the_label_column_is_named_where_the_table_is_read(tmp_path: Path) -> None:
    rows = [f"{i / 3},{i % 2},{i % 3}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,grade", *rows]) + "\n")
    data = load_given(f"csv:{tmp_path / 't.csv'}", "train", ["label:grade", "vector:b"])
    assert data.name == f"csv:{tmp_path / 't.csv'}"
    assert (data.columns, data.vector_columns) == (("a",), ("b",))
    assert data.classes == ("0", "1", "2")
    with pytest.raises(UnknownNameError, match="did you mean 'grade'"):
        load_given(f"csv:{tmp_path / 't.csv'}", "train", ["label:grad"])
