"""Guidance: on an exact score, against its definition, and refused where there is nothing."""

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError
from phosphene.generative.diffusion.guidance import ClassifierFree, ClassifierGuidance
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import build_path
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.table import run
from phosphene.generative.diffusion.target import Data, Noise
from tests.generative.diffusion.gaussian import Mixture

WHOLE = Mixture(
    torch.tensor([[-0.6, 0.0], [0.6, 0.0], [0.0, 0.9]]).double(),
    torch.tensor([0.5, 0.5, 0.5]).double(),
)
CLASS = Mixture(WHOLE.means[:1], WHOLE.stds[:1], torch.ones(1).double())
WEIGHTS = [0.0, 0.5, 1.0, 2.0, 4.0]


class Exact:
    """The best estimates with the class known, and not."""

    target = Data()

    def __call__(self, x, level):
        return CLASS.estimate(x, level)

    def both(self, x, level):
        return CLASS.estimate(x, level), WHOLE.estimate(x, level)


def sampled(guidance, n=4000, seed=0):
    levels = build_path("cosine").levels(60)
    x = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return run(guidance.of(Exact()), x, ddim(levels))


def posterior(x):
    return WHOLE.log_joint(x).log_softmax(1)[:, 0].exp()


def test_more_guidance_more_agreement_and_less_diversity():
    found = [sampled(ClassifierFree(w)) for w in WEIGHTS]
    agree = [float(posterior(x).mean()) for x in found]
    spread = [float(x.var(0).sum()) for x in found]
    assert agree == sorted(agree)
    assert len(set(agree)) == len(agree)
    assert spread == sorted(spread, reverse=True)
    assert agree[-1] > agree[0] + 0.1
    assert spread[-1] < 0.7 * spread[0]


def test_classifier_guidance_does_the_same():
    def log_prob(x, level):
        return WHOLE.log_joint(x, level.alpha, level.sigma).log_softmax(1)[:, 0]

    found = [sampled(ClassifierGuidance(log_prob, w)) for w in WEIGHTS]
    agree = [float(posterior(x).mean()) for x in found]
    spread = [float(x.var(0).sum()) for x in found]
    assert agree == sorted(agree)
    assert spread == sorted(spread, reverse=True)
    # On top of the conditional model, the gradient is that of classifier-free guidance.
    for w, x in zip(WEIGHTS, found, strict=True):
        torch.testing.assert_close(x, sampled(ClassifierFree(w)), rtol=1e-6, atol=1e-6)


def test_weight_zero_is_the_conditional_model():
    network = Exact()
    assert ClassifierFree(0.0).of(network) is network
    assert ClassifierGuidance(lambda x, level: x.sum(1), 0.0).of(network) is network
    x = torch.randn(5, 2, dtype=torch.float64)
    told, untold = network.both(x, Level(0.5, 0.8, 0.6))
    assert torch.equal(ClassifierFree(0.0).mixed(told, untold), told)
    torch.testing.assert_close(ClassifierFree(1.5).mixed(told, untold), 2.5 * told - 1.5 * untold)


def test_guidance_is_the_same_for_any_target():
    """The mixture is linear in what the network gives, so that targets do not matter."""
    level = Level(0.4, 0.8, 0.6)
    x = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    told, untold = Exact().both(x, level)
    mixed = ClassifierFree(2.0).mixed(told, untold)
    p, q = Noise().linear(level)
    noise = ClassifierFree(2.0).mixed((told - p * x) / q, (untold - p * x) / q)
    torch.testing.assert_close(p * x + q * noise, mixed)


def test_rescaled_guidance_keeps_the_spread():
    g = torch.Generator().manual_seed(0)
    told, untold = torch.randn(2, 3, 1, 8, 8, generator=g)
    mixed = ClassifierFree(5.0, rescale=1.0).mixed(told, untold)
    torch.testing.assert_close(mixed.std((1, 2, 3)), told.std((1, 2, 3)), rtol=1e-4, atol=1e-4)
    half = ClassifierFree(5.0, rescale=0.5).mixed(told, untold)
    plain = ClassifierFree(5.0).mixed(told, untold)
    torch.testing.assert_close(half, 0.5 * mixed + 0.5 * plain, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def told():
    event, spec = ph.Event.image(1, 8, levels=17), ph.ContextSpec(label=3)
    model = ph.build("ddpm", event, context=spec, widths=(8,), steps=20)
    g = torch.Generator().manual_seed(0)
    for parameter in model.network.parameters():  # it begins at zero, whatever the label
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    return model


def test_the_model_asks_both_in_one_pass(told):
    context = told.given(ph.Context(label=torch.tensor([0, 1, 2])), 3)
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    ask, level = told.told(context), told.levels(5)[2]
    with torch.no_grad():
        with_it, without = ask.both(x, level)
        torch.testing.assert_close(with_it, ask(x, level), rtol=1e-4, atol=1e-5)
        dropped = told.given(
            ph.Context(label=context.label, dropped=torch.ones(3, dtype=torch.bool)), 3
        )
        torch.testing.assert_close(without, told.told(dropped)(x, level), rtol=1e-4, atol=1e-5)
    assert float((with_it - without).abs().max()) > 1e-3


def test_samples_of_weight_zero_are_those_without_guidance(told):
    context = ph.Context(label=torch.tensor([0, 1, 2]))

    def draw(**how):
        return told.sample(3, context, generator=torch.Generator().manual_seed(1), steps=4, **how)

    assert torch.equal(draw(), draw(guidance=0.0))
    assert not torch.equal(draw(), draw(guidance=6.0))
    own = ph.build(
        "ddpm", told.event, context=told.context_spec, widths=(8,), steps=20, guidance=6.0
    )
    own.load_state_dict(told.state_dict())
    found = own.sample(3, context, generator=torch.Generator().manual_seed(1), steps=4)
    assert torch.equal(found, draw(guidance=6.0))


def test_bad_input(told):
    context = ph.Context(label=torch.tensor([0, 1, 2]))
    plain = ph.build("ddpm", ph.Event.real(2), widths=(8,), steps=20)
    with pytest.raises(ConfigError, match=r"the model has none; got a weight of 2"):
        plain.sample(3, guidance=2.0)
    with pytest.raises(ConfigError, match=r"guidance=1\.0 needs a condition"):
        ph.build("ddpm", ph.Event.real(2), widths=(8,), guidance=1.0)
    with pytest.raises(ConfigError, match="above -1, got -1"):
        told.sample(3, context, guidance=-1.0)
    with pytest.raises(ConfigError, match="rescale must be from 0 to 1, got 2"):
        told.sample(3, context, guidance=1.0, rescale=2.0)
    with pytest.raises(ConfigError, match="rescale belongs to guidance"):
        told.sample(3, context, rescale=0.5)
    with pytest.raises(ConfigError, match="from 1 to the chain's 20, got 21"):
        told.sample(3, context, steps=21)
    never = ph.build("ddpm", told.event, context=told.context_spec, widths=(8,), steps=20, drop=0.0)
    with pytest.raises(ConfigError, match="drop above 0"):
        never.sample(3, context, guidance=1.0)
