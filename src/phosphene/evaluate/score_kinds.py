"""Kinds of scores: what may be said of a number, and what it may be compared with."""

__all__ = ["KINDS", "RANKED"]

KINDS: dict[str, str] = {
    "exact": "computed without approximation, up to the choice of test examples.",
    "bound": "a bound in expectation: the truth is at least this good, and how much better is not "
    "known from this number alone. Never rank it against an exact value.",
    "importance-weighted": "a tighter stochastic bound from several weighted posterior samples; it "
    "approaches the truth from the pessimistic side as their number grows.",
    "ode": "exact up to the error of a numerical solver and a trace estimator.",
    "estimate": "neither exact nor a bound; it may err to either side.",
    "super-resolution": "about images that a model makes of others of a lower resolution, against "
    "the true ones or against what they were made of.",
    "control": "about samples given an image, and whether the same can be seen of them.",
    "reconstruction": "about examples sent through encoder and decoder; it says nothing about "
    "samples.",
    "features": "distances on fixed offline features. They compare runs in this library only; they "
    "are not an FID. The floor is what fresh real data gets at the same sample size.",
    "classifier": "the part of the examples that a classifier gets right; where there is a floor, "
    "it is what the same classifier gets on real data.",
    "against true factors": "measured against the factors that made the data; the floor is what "
    "codes get that know nothing of them.",
    "against N(0, I)": "measured against as many draws from the prior; the floor is what the prior "
    "itself gets.",
    "greedy episodes": "over whole episodes that training did not meet, played by the agent's best "
    "actions; their standard error is over episodes, not over trainings.",
    "sampled episodes": "over whole episodes that training did not meet, with actions drawn as the "
    "agent explores.",
    "random actions": "over whole episodes of uniformly random actions.",
    "largest": "the largest over test examples, not their mean.",
    "count": "counted, with no error of sampling.",
}
"""Kind to a sentence that begins in lower case."""

RANKED = ("exact", "ode", "importance-weighted", "bound", "estimate")
"""The kinds of likelihoods, the surest first."""
