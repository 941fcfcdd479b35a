"""What models do with an example: it is kept, forgotten or found again as far as was asked."""

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.editing import resampled

EVENT = ph.Event.image(1, 8, levels=17)
X = torch.randint(0, 17, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
KEPT = torch.arange(8)[:, None].expand(1, 8, 8) < 4


@pytest.fixture(scope="module", params=["ddpm", "score-sde", "flow-matching"])
def model(request):
    return ph.build(request.param, EVENT, widths=(4,), patch=1).eval()


def g(seed=1):
    return torch.Generator().manual_seed(seed)


def test_filling_in_keeps_what_is_known_and_shows_it_to_the_network(model):
    seen = []
    network = model.network.forward
    model.network.forward = lambda x, *a, **k: seen.append(x.detach()) or network(x, *a, **k)
    try:
        found = model.inpaint(X, KEPT, steps=6, jump=3, resample=2, generator=g())
    finally:
        model.network.forward = network
    assert found[:, :, :4].equal(X[:, :, :4].to(found.dtype))
    assert not found[:, :, 4:].equal(X[:, :, 4:].to(found.dtype))
    # At the last levels the known half that the network sees is the example's, nearly.
    y, _ = model.encoded(X)
    apart = (seen[-1] - y).abs().flatten(2).mean((0, 1)).view(8, 8)
    known, drawn = float(apart[:4].mean()), float(apart[4:].mean())
    assert known < 0.75 * drawn


@pytest.fixture
def watched():
    """A diffusion whose network is right whatever it sees, and what it saw."""
    model = ph.build("ddpm", EVENT, widths=(4,), patch=1, target="data").eval()
    x = X[:1].repeat(64, 1, 1, 1)
    y, _ = model.encoded(x)
    seen = []
    model.network.forward = lambda z, *a, **k: seen.append(z.detach().clone()) or y.clone()
    return model, x, y, seen


def test_what_is_known_is_as_noisy_as_the_level_that_is_asked(watched):
    model, x, y, seen = watched
    model.inpaint(x, KEPT, steps=6, jump=3, resample=2, generator=g())
    levels = [row.asked for row in resampled(model.levels(6), 3, 2).rows if row.asked]
    assert len(levels) == len(seen)
    for level, z in zip(levels, seen, strict=True):
        noise = (z - level.alpha * y)[:, :, :4]
        assert float(noise.std()) == pytest.approx(level.sigma, rel=0.1)


@pytest.mark.parametrize("sampler", ["ddim", "dpm++"])
def test_begun_midway_a_right_network_keeps_the_noise_that_it_began_with(watched, sampler):
    model, x, y, seen = watched
    model.refine(x, 0.5, steps=8, sampler=sampler, generator=g())
    asked = [row.asked for row in model.table(sampler, 8, None).rows if row.whole]
    levels = asked[-len(seen) :]
    each = [(z - level.alpha * y) / level.sigma for level, z in zip(levels, seen, strict=True)]
    for noise in each[1:]:
        torch.testing.assert_close(noise, each[0], rtol=1e-3, atol=1e-3)


def test_a_mask_that_keeps_everything_is_refused(model):
    with pytest.raises(ConfigError, match="nothing to fill in"):
        model.inpaint(X, torch.ones(1, 8, 8, dtype=torch.bool))


def test_strength_says_how_much_is_drawn_anew(model):
    """With little strength few steps are taken, from near the example."""
    counts, starts = [], []
    network = model.network.forward
    for strength in (0.2, 0.6, 1.0):
        seen = []
        model.network.forward = lambda x, *a, seen=seen, **k: (
            seen.append(x.detach()) or network(x, *a, **k)
        )
        try:
            model.refine(X, strength, steps=10, sampler="ddim", generator=g())
        finally:
            model.network.forward = network
        y, _ = model.encoded(X)
        counts.append(len(seen))
        starts.append(float((seen[0] - y).square().mean()))
    assert counts == [2, 6, 10]
    assert starts == sorted(starts)
    assert starts[0] < 0.5 * starts[2]


@pytest.mark.parametrize("strength", [0.0, -1.0, 1.5, float("nan")])
def test_strength_out_of_range(model, strength):
    with pytest.raises(ConfigError, match="strength must be above 0 and at most 1"):
        model.refine(X, strength)


def test_samplers_read_the_shift_of_training():
    """Levels of a sampler are those of the training's times, moved to the noise."""
    plain, moved = (ph.build("flow-matching", EVENT, widths=(4,), shift=s) for s in (1.0, 3.0))
    for a, b in zip(plain.levels(5)[:-1], moved.levels(5)[:-1], strict=True):
        assert b.time == pytest.approx(3 * a.time / (1 + 2 * a.time))
    asked = [row.asked.time for row in moved.table("euler", 5).rows]
    assert asked == pytest.approx([level.time for level in moved.levels(5)[:-1]])
    times = moved.drawn(ph.Batch.of(X.repeat(200, 1, 1, 1))).time
    assert float(times.mean()) > 0.6


def test_the_noise_of_an_example_is_found_again(model):
    """DDIM to the noise and back, with a network that says the same everywhere."""
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
    z = model.invert(X, steps=200 if model.in_between else None)
    assert z.shape == X.shape
    ends = model.interpolate(X[:1], X[1:2], 3)
    assert ends.shape == (1, 3, 1, 8, 8)
    assert bool(torch.isfinite(ends).all())


def test_a_way_shows_no_state_twice(model):
    """Where a sampler has fewer states than frames were asked for, all of them are shown."""
    found = model.sample_path(2, frames=8, steps=3, sampler="ddim", generator=g())
    assert found.shape == (4, 2, 1, 8, 8)
    some = model.sample_path(2, frames=3, steps=9, sampler="heun", generator=g())
    assert some.shape == (3, 2, 1, 8, 8)
