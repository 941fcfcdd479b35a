"""Codes and a prior over them: the codebook is used, and samples are what was asked for."""

from pathlib import Path

import pytest

import phosphene as ph


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_prior_over_codes_draws_the_digit_that_is_asked_for(tmp_path: Path) -> None:
    run = ph.train("vq-vae-prior", data="mnist", folder=tmp_path, name="run")
    scores = ph.evaluate(run)
    print({k: scores[k].value for k in ("codebook_perplexity", "conditional_accuracy", "elbo")})
    assert scores["codebook_perplexity"].value > 64 / 4
    assert scores["conditional_accuracy"].value > 0.85
