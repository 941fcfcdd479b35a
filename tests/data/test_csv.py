"""Tables as people have them: delimiters, names, labels, splits, numbers, what is missing."""

from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError, PhospheneError, UnknownNameError
from phosphene.data.adapters.csv import read_columns
from phosphene.data.dataset import Dataset

SPLITS = ("train", "validation", "test")


def lines(n: int = 40, sep: str = ",", number: str = "{:.3f}") -> list[str]:
    rng = np.random.RandomState(0)
    rows = []
    for i in range(n):
        a, b = rng.rand(2)
        rows.append(sep.join((number.format(a), number.format(10 * b), ("red", "blue")[i % 2])))
    return rows


def table(path: Path, *rows: str, encoding: str = "utf-8") -> str:
    path.write_bytes(("\n".join(rows) + "\n").encode(encoding))
    return f"csv:{path}"


def whole(name: str) -> torch.Tensor:
    """The rows of all splits, in order of their first value."""
    x = torch.cat([ph.data.load(name, split).x for split in SPLITS])
    return x[x[:, 0].argsort()]


def refused(name: str, kind: type[PhospheneError], *parts: str) -> None:
    with pytest.raises(kind) as caught:
        ph.data.load(name)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_delimiters_are_told_apart_and_text_is_the_label(tmp_path: Path, sep: str) -> None:
    name = table(tmp_path / "t.csv", sep.join(("a", "b", "color")), *lines(sep=sep))
    data = ph.data.load(name)
    assert data.columns == ("a", "b")
    assert data.classes == ("blue", "red")
    assert any("'color' holds text" in note for note in data.notes)
    expected = np.array([[float(v) for v in row.split(sep)[:2]] for row in lines(sep=sep)])
    expected = expected[expected[:, 0].argsort()]
    np.testing.assert_allclose(whole(name).numpy(), expected, rtol=1e-6)


def test_decimal_commas_quotes_blank_lines_and_a_mark_at_the_start(tmp_path: Path) -> None:
    rows = [row.replace(".", ",") for row in lines(sep=";")]
    plain = table(tmp_path / "a.csv", "a,b,color", *lines())
    german = table(
        tmp_path / "b.csv", '\ufeff"a";"b";"color"', *rows[:5], "", *rows[5:], encoding="utf-8"
    )
    assert ph.data.load(german).columns == ("a", "b")
    assert torch.equal(whole(plain), whole(german))
    for encoding in ("latin-1", "utf-16"):
        other = table(tmp_path / "c.csv", "größe,b,color", *lines(), encoding=encoding)
        assert ph.data.load(other).columns == ("größe", "b")


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    name = table(tmp_path / "t.csv", *(row.rsplit(",", 1)[0] for row in lines()))
    data = ph.data.load(name)
    assert data.columns == ("0", "1")
    assert len(whole(name)) == 40


def test_labels_are_the_same_in_every_split(tmp_path: Path) -> None:
    rows = [f"{i},{'rare' if i == 7 else 'common'}" for i in range(40)]
    name = table(tmp_path / "t.csv", "a,kind", *rows)
    assert {ph.data.load(name, split).classes for split in SPLITS} == {("common", "rare")}
    kinds = table(tmp_path / "k.csv", "a,kind", *(f"{i},{'xyyzzz'[i % 6]}" for i in range(60)))
    for split in SPLITS:
        data = ph.data.load(kinds, split)
        assert data.y is not None
        told = [data.classes[k] for k in data.y.tolist()]
        assert told == ["xyyzzz"[int(a) % 6] for a in data.x[:, 0].tolist()]
    assert data.label_name == "kind"
    numbers = table(tmp_path / "n.csv", "a,grade", *(f"{i / 7},{(i % 3) * 5}" for i in range(40)))
    assert ph.data.load(numbers).columns == ("a", "grade")
    graded = ph.data.load(f"{numbers}?label=grade")
    assert graded.classes == ("0", "5", "10")
    assert graded.columns == ("a",)


def test_a_column_or_files_say_the_split(tmp_path: Path) -> None:
    rows = [f"{i},{i % 3},{('train', 'Test', 'val')[i % 3]}" for i in range(30)]
    name = table(tmp_path / "t.csv", "a,b,split", *rows)
    for split, b in (("train", 0), ("test", 1), ("validation", 2)):
        data = ph.data.load(name, split)
        assert data.columns == ("a", "b")
        assert data.x[:, 1].unique().tolist() == [b]
    folder = tmp_path / "parts"
    folder.mkdir()
    table(folder / "train.csv", "a,kind", *(f"{i},x" for i in range(20)))
    table(folder / "test.csv", "a,kind", *(f"{i},y" for i in range(100, 105)))
    assert ph.data.load(f"csv:{folder}", "test").x[:, 0].tolist() == list(range(100, 105))
    assert ph.data.load(f"csv:{folder}").classes == ("x", "y")
    table(folder / "test.csv", "other,kind", "1,x")
    refused(f"csv:{folder}", DataError, "other columns")


def test_missing_values_are_named_or_their_lines_left_out(tmp_path: Path) -> None:
    rows = lines()
    rows[3], rows[5] = "NA,1.0,red", ",2.0,blue"
    name = table(tmp_path / "t.csv", "a,b,color", *rows)
    refused(name, DataError, "'a' (2)", "line 5", "?missing=drop", "?drop=")
    data = ph.data.load(f"{name}?missing=drop")
    assert any("2 of 40 lines lack a value" in note for note in data.notes)
    assert len(whole(f"{name}?missing=drop")) == 38
    assert ph.data.load(f"{name}?drop=a").columns == ("b",)


def test_what_a_data_frame_writes_besides_is_left_out_and_said(tmp_path: Path) -> None:
    rows = [f"{i},{row}," for i, row in enumerate(lines())]
    data = ph.data.load(table(tmp_path / "t.csv", ",a,b,color,empty", *rows))
    assert data.columns == ("a", "b")
    assert any("number the lines" in note for note in data.notes)
    assert any("'empty'" in note for note in data.notes)
    measured = ph.data.load(
        table(tmp_path / "m.csv", ",a", *(f"{i / 3:.2f},{i}" for i in range(30)))
    )
    assert measured.columns == ("", "a")


def test_seconds_since_1970_keep_their_resolution(tmp_path: Path) -> None:
    rows = [f"{1_700_000_000 + 17 * i},{i % 5}" for i in range(200)]
    data = ph.data.load(table(tmp_path / "t.csv", "time,b", *rows))
    assert data.x.dtype == torch.float64
    assert len(data.x[:, 0].unique()) == len(data)
    assert any("kept in 64 bits" in note and "'time'" in note for note in data.notes)


def test_bad_tables_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    refused(f"csv:{path}", DataError, "does not exist")
    refused(table(path, "a,b", *["1,2"] * 9, "1,2,3"), DataError, "line 11 has 3 fields")
    refused(table(path, "a,a", "1,2"), DataError, "two columns called 'a'")
    rows = [f"{i},name{i},town{i}" for i in range(20)]
    name = table(path, "a,name,town", *rows)
    refused(name, DataError, "'name' holds 'name0' in line 2", "?drop=name,town")
    refused(f"{name}?label=nam", UnknownNameError, "did you mean 'name'")
    refused(f"{name}?drop=", ConfigError, "'drop'")
    refused(f"{name}?missing=fill", ConfigError, "must be 'drop'", "'fill'")
    refused(f"{name}?delimiter=coma", UnknownNameError, "did you mean 'comma'")
    told = "holds 1 infinite value, the first in column 'b'"
    refused(table(path, "a,b", "1,inf", *["1,2"] * 9), DataError, told)
    refused(table(path, "a,b"), DataError)
    path.write_bytes(b"\x1f\x8b" + bytes(50))
    refused(f"csv:{path}", DataError, "compressed")
    path.write_bytes(b"a,b\n1,\0\n")
    refused(f"csv:{path}", DataError, "no text")
    path.write_bytes(b"")
    refused(f"csv:{path}", DataError, "empty")


def test_truths_are_numbers_and_mixed_marks_of_decimals_are_refused(tmp_path: Path) -> None:
    rows = [f"{i},{('True', 'false')[i % 2]},{('TRUE', 'FALSE')[i % 2]}" for i in range(30)]
    data = ph.data.load(table(tmp_path / "t.csv", "a,b,c", *rows))
    assert data.columns == ("a", "b", "c")
    assert torch.equal(data.x[:, 1], 1 - data.x[:, 0] % 2)
    mixed = table(tmp_path / "m.csv", "a;b", *(f"{i},5;2.137" for i in range(20)))
    refused(mixed, DataError, "decimal commas in 'a'", "'2.137' in 'b'")
    reals = table(tmp_path / "r.csv", "a,b", *(f"{i},{i / 3:.2f}" for i in range(20)))
    refused(f"{reals}?label=b", DataError, "the label 'b' holds", "whole numbers")


def test_rows_that_are_given_are_read_in_order(tmp_path: Path) -> None:
    table(tmp_path / "t.csv", "a,b,c", "1,2,x", "3,4,y")
    assert read_columns(str(tmp_path / "t.csv"), ["b", "a"]).tolist() == [[2, 1], [4, 3]]
    with pytest.raises(DataError, match="lacks the column 'd'"):
        read_columns(str(tmp_path / "t.csv"), ["d"])
    with pytest.raises(DataError, match="'c' holds 'x' in line 2"):
        read_columns(str(tmp_path / "t.csv"), ["c"])


def test_a_table_in_npz_has_the_same_columns(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    x, y = rng.rand(50, 2), rng.rand(50)
    np.savez(tmp_path / "a.npz", x=x, y=y, columns=np.array(["age", "income"]))
    data = ph.data.load(f"npz:{tmp_path / 'a.npz'}")
    assert data.columns == ("age", "income", "y")
    assert any("vector:x" in note or "p(y | x)" in note for note in data.notes)
    np.savez(tmp_path / "b.npz", age=x[:, 0], income=x[:, 1], job=np.array(["a", "b"] * 25))
    named = ph.data.load(f"npz:{tmp_path / 'b.npz'}")
    assert (named.columns, named.classes) == (("age", "income"), ("a", "b"))
    np.savez(tmp_path / "c.npz", x=rng.randint(0, 2, (50, 8, 8), dtype=np.uint8), y=y)
    pictures = ph.data.load(f"npz:{tmp_path / 'c.npz'}")
    assert (pictures.vector_columns, pictures.y) == (("y",), None)
    np.savez(tmp_path / "d.npz", x=x, vector=rng.rand(50, 3))
    assert ph.data.load(f"npz:{tmp_path / 'd.npz'}").context.vector == ph.Event.real(3)


def test_labels_that_are_unknown_are_counted_apart(tmp_path: Path) -> None:
    x, y = np.random.RandomState(0).rand(100, 3), np.repeat([-1, 0, 1], (60, 10, 30))
    np.savez(tmp_path / "a.npz", x=x, y=y)
    data = ph.data.load(f"npz:{tmp_path / 'a.npz'}")
    counts = data.label_counts
    assert counts is not None
    assert int(counts.sum()) == int((data.y >= 0).sum()) < len(data)  # type: ignore[operator]
    assert any("60 of 100 labels are -1, unknown" in note for note in data.notes)
    np.savez(tmp_path / "b.npz", x=x, y=np.where(y > 0, 1, -1))
    notes = ph.data.load(f"npz:{tmp_path / 'b.npz'}").notes
    assert any("-1 means unknown" in note for note in notes)


def test_channels_that_come_last_are_refused_and_others_read(tmp_path: Path) -> None:
    codes = np.random.RandomState(0).randint(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    for x in (codes, codes[..., :1], codes / 255.0):
        np.savez(tmp_path / "a.npz", x=x)
        refused(f"npz:{tmp_path / 'a.npz'}", DataError, "channels seem to come last", "transpose")
    np.savez(tmp_path / "a.npz", x=codes.transpose(0, 3, 1, 2))
    assert ph.data.load(f"npz:{tmp_path / 'a.npz'}").event == ph.Event.image(3, 8)
    np.savez(tmp_path / "a.npz", x=codes[:, :3])  # (n, 3, 8, 3) may be a narrow image
    assert ph.data.load(f"npz:{tmp_path / 'a.npz'}").event == ph.Event.image(3, (8, 3))


def test_columns_and_vectors_of_a_dataset_must_fit() -> None:
    x = torch.zeros(5, 2)
    with pytest.raises(DataError, match="names 3 columns"):
        Dataset(name="a", split="train", event=ph.Event.real(2), x=x, columns=("a", "b", "c"))
    with pytest.raises(DataError, match="reals"):
        Dataset(name="a", split="train", event=ph.Event.real(2), x=x, vector=x.long())
    with pytest.raises(DataError, match="4 rows of vector"):
        Dataset(name="a", split="train", event=ph.Event.real(2), x=x, vector=x[:4])
