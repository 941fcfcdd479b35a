"""Kinds that are to come, each one folder: trained, killed, resumed, scored, shown, compared."""

import json
import signal
import time

import torch
from safetensors.torch import load_file

SLOW = ("--train.checkpoint-every", "0.01", "--train.log-every", "1")


def test_a_toy_lives_in_the_house(house):
    """One process after another, as people use them."""
    told = house.facts
    system, other, address = told["system"], told["other"], told["address"]
    said = ("train", system, "--data", address, "--budget", "40steps")
    found = json.loads(house.done(*said, "--name", "whole", "--json"))
    assert (found["steps"], found["data"]) == (40, address)
    record = json.loads((house.place / "runs/whole/run.json").read_text())
    assert record["kind"] == told["kind"]

    _kill_and_resume(house, said)

    scores = json.loads(house.done("evaluate", "whole", "--json"))
    assert told["score"] in scores
    more = json.loads(house.done("evaluate", "whole", *told["option"], "--json"))
    assert more != scores, "the kind's own option does something"
    table = house.done("evaluate", "whole")
    assert told["unit"] in table

    house.done("report", "whole")
    page = (house.place / "runs/whole/report.html").read_text()
    assert told["section"] in page
    assert told["label"] in page

    sampled = json.loads(house.done("sample", "whole", *told["sample"], "--json"))
    assert sampled["shape"] == told["shape"]

    compared = json.loads(
        house.done("compare", system, other, "--data", address, "--budget", "10steps", "--json")
    )
    assert {row["system"] for row in compared["rows"]} == {system, other}
    assert told["score"] in compared["rows"][0]["scores"]


def _kill_and_resume(house, said):
    """kill -9 amid a training; what is resumed ends as what was never stopped, bit for bit."""
    process = house.start(*said[:-1], "300steps", "--name", "killed", *SLOW)
    checkpoints = house.place / "runs/killed/checkpoint"
    for _ in range(600):
        if checkpoints.is_dir() and len(list(checkpoints.iterdir())) > 1:
            break
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    house.done(*said[:4], "--budget", "300steps", "--name", "killed", "--resume")
    house.done(*said[:-1], "300steps", "--name", "straight")
    one, two = (
        load_file(house.place / f"runs/{name}/model/model.safetensors")
        for name in ("killed", "straight")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_mistakes_about_a_toy_are_one_sentence(house):
    told = house.facts
    system, address = told["system"], told["address"]
    for argv, words in (
        (("train", system, "--data", told["wrong"]), told["refused"]),
        (("train", system, "--env", "CartPole-v1"), "it takes"),
        (("train", system, "--data", address, "--model.widht", "3"), "unknown option"),
        (("train", system, "--data", address, "--labels", "3"), "labels"),
        (("train", "vae", "--data", address), "data set"),
    ):
        code, _, err = house.run(*argv)
        lines = err.strip().splitlines()
        assert code == 2, (argv, err)
        assert len(lines) == 1, (argv, err)
        assert words in err, (argv, err)
    assert not (house.place / "runs").exists()
