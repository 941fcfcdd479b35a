"""Faults of models: each a toy that breaks one law of those of ``tests/laws/broken.py``."""

import torch
from torch import Tensor

from phosphene.core.context import Context
from tests.faults.fault import law
from tests.laws import broken, broken_parts
from tests.laws.toys import Chain, Coins, Mixture, Patches, Shear, TinyVAE


class StandardizedByItsBatch(Shear):
    """Test examples are standardized by the moments of the test examples."""

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        x = self.codes(x)
        again = (x - x.mean(0)) / x.std(0) * self.s + self.m
        return super().log_prob(torch.nan_to_num(again), context)


law("a density is off by a constant", "density", "density_is_normalized",
    Coins, broken.LikelihoodOffByAConstant)  # fmt: skip
law("a log-determinant has the wrong sign", "log-determinant", "log_determinant_is_autograds",
    Shear, broken.WrongLogDeterminant)  # fmt: skip
law("an inverse is not the inverse", "inverse", "inverts", Shear, broken.WrongInverse)
law("a bound lies above the likelihood", "bound", "bounds_are_in_order",
    Mixture, broken.BoundAboveTheExact)  # fmt: skip
law("a sampler does not draw from the density", "sampler", "samples_follow_the_density",
    Coins, broken.SamplesTheLikeliest)  # fmt: skip
law("a seed is ignored", "generator", "samples_follow_their_generator",
    Coins, broken.SamplerWithAFixedSeed)  # fmt: skip
law("a context is ignored", "context", "every_answer_is_told_of_the_condition",
    Coins, broken_parts.SamplesWhateverTheLabel)  # fmt: skip
law("rows of a context are mixed up", "rows of a context",
    "each_row_of_a_context_has_draws_of_its_own",
    Coins, broken.GoesThroughContextsInTurn)  # fmt: skip
law("a buffer is not saved", "saved model", "saves_and_loads", Coins, broken.ForgetsABuffer)
law("a conditional sees the value that it predicts", "causal mask", "conditionals_look_back_only",
    Chain, broken.LeakingMask)  # fmt: skip
law("a loss is a sum over the batch", "loss", "loss_is_a_mean", Coins, broken.LossIsASum)
law("a part gets no gradient", "gradient", "every_parameter_learns",
    TinyVAE, broken.DetachedDecoder)  # fmt: skip
law("known values are painted over", "inpainting", "inpainting_keeps_what_is_known",
    Patches, broken.InpaintsOverTheKnown)  # fmt: skip
law("test examples are standardized by their own moments", "standardization",
    "examples_do_not_mix", Shear, StandardizedByItsBatch)  # fmt: skip
