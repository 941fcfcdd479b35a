"""The rows of linear learners."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 100
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.linear"
_LESSONS = f"{_ROOM}.lessons"
_PROOFS = "phosphene.proofs.learning"

SYSTEMS: tuple[System, ...] = (
    System(
        name="perceptron-classifier",
        family="learning",
        title="The perceptron, with the interface of scikit-learn",
        kind="tool",
        rows=(141,),
        paper="Rosenblatt, 1958; Gallant, 1990",
        target=f"{_ROOM}.perceptron:Perceptron",
    ),
    System(
        name="perceptron",
        family="learning",
        title="A perceptron finds a line between two classes, if there is one",
        kind="lesson",
        rows=(141,),
        paper="Rosenblatt, 1958",
        target=f"{_LESSONS}.perceptron:demonstrate",
    ),
    System(
        name="perceptron-convergence",
        family="learning",
        title="Proof: a perceptron makes at most (R / gamma)^2 mistakes, and cycles on XOR",
        kind="proof",
        rows=(7, 141),
        paper="Novikoff, 1962",
        target=f"{_PROOFS}.perceptron_convergence:prove",
    ),
    System(
        name="likelihood-estimators",
        family="learning",
        title="Maximum likelihood of a Gaussian, a Bernoulli and an exponential variable",
        kind="tool",
        rows=(142,),
        paper="Fisher, 1922; Rao, 1945; Cramer, 1946",
        target=f"{_ROOM}.maximum_likelihood:gaussian_fit",
    ),
    System(
        name="maximum-likelihood",
        family="learning",
        title="How fast an estimate finds the truth, and how it scatters",
        kind="lesson",
        rows=(142,),
        paper="Fisher, 1922",
        target=f"{_LESSONS}.maximum_likelihood:demonstrate",
    ),
    System(
        name="cramer-rao",
        family="learning",
        title="Proof: maximum likelihood is consistent, and efficient for many examples",
        kind="proof",
        rows=(7, 142),
        paper="Fisher, 1922; Rao, 1945; Cramer, 1946",
        target=f"{_PROOFS}.cramer_rao:prove",
    ),
    System(
        name="ridge",
        family="learning",
        title="Linear regression: least squares, and ridge regression as a Gaussian prior",
        kind="tool",
        rows=(143,),
        paper="Hoerl and Kennard, 1970",
        target=f"{_ROOM}.ridge:Ridge",
    ),
    System(
        name="lasso",
        family="learning",
        title="The lasso, a Laplace prior, by coordinate descent",
        kind="tool",
        rows=(143,),
        paper="Tibshirani, 1996; Friedman, Hastie and Tibshirani, 2010",
        target=f"{_ROOM}.lasso:Lasso",
    ),
    System(
        name="ridge-and-lasso",
        family="learning",
        title="What two priors do to the weights of a linear regression",
        kind="lesson",
        rows=(143,),
        paper="Hoerl and Kennard, 1970; Tibshirani, 1996",
        target=f"{_LESSONS}.ridge_and_lasso:demonstrate",
    ),
    System(
        name="map-is-ridge",
        family="learning",
        title="Proof: a Gaussian prior is ridge regression, a Laplace prior the lasso",
        kind="proof",
        rows=(7, 143),
        paper="Hoerl and Kennard, 1970; Tibshirani, 1996",
        target=f"{_PROOFS}.map_is_ridge:prove",
    ),
    System(
        name="logistic-classifier",
        family="learning",
        title="Logistic regression by Newton's method, with the interface of scikit-learn",
        kind="tool",
        rows=(143, 144),
        paper="Berkson, 1944; Cox, 1958",
        target=f"{_ROOM}.logistic:LogisticRegression",
    ),
    System(
        name="logistic-regression",
        family="learning",
        title="Newton's method on the log-odds of classes",
        kind="lesson",
        rows=(143, 144),
        paper="Cox, 1958",
        target=f"{_LESSONS}.logistic_regression:demonstrate",
    ),
    System(
        name="binary-cross-entropy",
        family="learning",
        title="Cross-entropy from logits, and its gradient",
        kind="tool",
        rows=(144,),
        paper="Good, 1952",
        target=f"{_ROOM}.cross_entropy:binary_cross_entropy",
    ),
    System(
        name="cross-entropy-is-likelihood",
        family="learning",
        title="Proof: cross-entropy is a negative log-likelihood, its slope prediction - target",
        kind="proof",
        rows=(7, 144),
        paper="Good, 1952",
        target=f"{_PROOFS}.cross_entropy_is_likelihood:prove",
    ),
)
