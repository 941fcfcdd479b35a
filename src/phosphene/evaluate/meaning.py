"""What scores and their kinds mean, in words for people who did not write the metric."""

__all__ = ["KINDS", "METRICS", "label", "meaning", "unit"]

METRICS: dict[str, tuple[str, str, str]] = {
    "nll": ("Negative log-likelihood", "nats", "Surprise of a test example; lower is better."),
    "iwae_nll": (
        "Negative log-likelihood",
        "nats",
        "Surprise of a test example, by importance weighting; lower is better.",
    ),
    "elbo": ("Evidence lower bound", "nats", "A floor under the log-likelihood; higher is better."),
    "iwae_gap": (
        "Gap of the bound",
        "nats",
        "How much importance weighting adds to the evidence lower bound.",
    ),
    "bits_per_dim": ("Bits per dimension", "bits", "Negative log-likelihood per pixel."),
    "nats_per_character": (
        "Nats per character",
        "nats",
        "Surprise of a character given those before it in its chunk; lower is better.",
    ),
    "nats_per_byte": (
        "Nats per byte",
        "nats",
        "Surprise of a byte given those before it in its chunk; lower is better.",
    ),
    "bits_per_sample": (
        "Bits per sample",
        "bits",
        "Surprise of a sample of sound given those before it in its window; lower is better.",
    ),
    "baseline_ngram": (
        "A 5-gram, for comparison",
        "nats",
        "What counts of up to five symbols in a row reach on the same examples.",
    ),
    "baseline_unigram": (
        "Symbol frequencies, for comparison",
        "nats",
        "What independent symbols reach on the same examples.",
    ),
    "baseline_lpc": (
        "Linear prediction, for comparison",
        "bits",
        "What linear prediction from 16 samples reaches on the same examples.",
    ),
    "baseline_histogram": (
        "Code frequencies, for comparison",
        "bits",
        "What independent samples reach on the same examples.",
    ),
    "inverse_error": (
        "Error of the inverse",
        "",
        "Largest difference between a test example and what the flow comes back to.",
    ),
    "kl": ("KL divergence from the truth", "nats", "The true density is known; 0 is perfect."),
    "mse": ("Squared error of reconstructions", "", "Codes scaled to 0..1; lower is better."),
    "psnr": (
        "PSNR",
        "dB",
        "Of reconstructions, or of images made of their low resolution; higher is better.",
    ),
    "psnr_bicubic": (
        "PSNR of bicubic interpolation, for comparison",
        "dB",
        "What smooth interpolation of the same inputs reaches.",
    ),
    "psnr_gain": ("Gain over bicubic interpolation", "dB", "Higher is better."),
    "lr_consistency": (
        "Consistency with the input",
        "dB",
        "PSNR of drawn images, lowered in resolution, against what they were made of.",
    ),
    "solution_diversity": (
        "Diversity of solutions",
        "of 255",
        "Standard deviation of a pixel over several images of one input.",
    ),
    "ssim": ("Structural similarity", "", "Of reconstructions; 1 is identity."),
    "codebook_perplexity": ("Codes in use", "", "exp(entropy) of how often each code is used."),
    "active_units": ("Active latent dimensions", "", "Those whose mean moves with the data."),
    "aggregate_mmd": (
        "Codes against the prior",
        "",
        "Squared maximum mean discrepancy of all codes together; 0 where they fill the prior.",
    ),
    "path_distance": (
        "Holes between codes",
        "",
        "How far decoded paths between codes stray from data, against their ends.",
    ),
    "probe_accuracy": ("Linear probe", "", "Labels read off the codes by a linear classifier."),
    "accuracy": ("Classification accuracy", "", "Higher is better."),
    "frechet_distance": (
        "Fréchet distance",
        "",
        "Between Gaussians fitted to features of samples and of test data; lower is better.",
    ),
    "kernel_distance": (
        "Kernel distance",
        "",
        "Unbiased, so it may fall below zero; lower is better.",
    ),
    "precision": ("Precision", "", "Part of the samples that lie near real data."),
    "recall": ("Recall", "", "Part of the real data that lies near samples."),
    "density": ("Density", "", "How many real neighborhoods hold a sample, on average."),
    "coverage": ("Coverage", "", "Part of the real neighborhoods that hold a sample."),
    "c2st_accuracy": (
        "Two-sample accuracy",
        "",
        "A classifier telling samples from data; 0.5 is the best a sampler can get.",
    ),
    "sliced_wasserstein": ("Sliced Wasserstein distance", "", "Lower is better."),
    "diversity": ("Diversity", "", "Variance of samples over that of real data; 1 is right."),
    "memorization_ratio": (
        "Memorization ratio",
        "",
        "Distance of samples to the training set over that of test data; near 0 means copies.",
    ),
    "conditional_accuracy": (
        "Accuracy of the condition",
        "",
        "Samples that a classifier gives the label they were asked for.",
    ),
    "return_mean": ("Mean return", "", "Sum of rewards of an episode; higher is better."),
    "return_iqm": (
        "Interquartile mean of returns",
        "",
        "The mean of the middle half of the episodes: luck and mishaps are left out.",
    ),
    "return_min": ("Worst return", "", "Of these episodes."),
    "return_max": ("Best return", "", "Of these episodes."),
    "last_return_mean": (
        "Mean return of the last weights",
        "",
        "In the same episodes; the other scores are of the weights that were best on validation.",
    ),
    "last_return_min": ("Worst return of the last weights", "", "Of the same episodes."),
    "training_steps": ("Steps of training", "steps", "Taken in environments to learn."),
    "validation_steps": (
        "Steps of validation",
        "steps",
        "Taken in environments, beside those of training, to choose weights.",
    ),
    "length_mean": ("Mean length", "steps", "Of an episode."),
    "terminated": (
        "Episodes that terminated",
        "",
        "The part that reached a terminal state; the others were cut off by the limit.",
    ),
    "random_return": (
        "Random actions, for comparison",
        "",
        "Mean return of a policy that looks at nothing.",
    ),
    "mig": ("Mutual information gap", "", "Disentanglement; higher is better."),
    "dci_disentanglement": ("DCI disentanglement", "", "One factor a code; higher is better."),
    "dci_completeness": ("DCI completeness", "", "One code a factor; higher is better."),
    "dci_informativeness": ("DCI informativeness", "", "Factors read off the codes."),
    "sap": ("SAP score", "", "Disentanglement; higher is better."),
}
"""Name to label, unit, and what it says."""

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


def label(name: str) -> str:
    """A name for people.

    Example:
        >>> label("psnr_gain"), label("my_score")
        ('Gain over bicubic interpolation', 'My score')
    """
    return METRICS[name][0] if name in METRICS else name.replace("_", " ").capitalize()


def unit(name: str) -> str:
    """The unit of a score, or nothing."""
    return METRICS[name][1] if name in METRICS else ""


def meaning(kind: str) -> tuple[str, str] | None:
    """The heading and the sentence that explain a kind of score.

    Example:
        >>> meaning("pca features")[0]
        'features'
    """
    head = "features" if kind.endswith("features") else kind
    return (head, KINDS[head]) if head in KINDS else None
