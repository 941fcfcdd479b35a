"""The rows of the mathematics of the course."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 150
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.mathematics"
_PROOFS = "phosphene.proofs.mathematics"


def _tool(name: str, title: str, rows: tuple[int, ...], paper: str, target: str) -> System:
    return System(
        name=name,
        family="learning",
        title=title,
        kind="tool",
        rows=rows,
        paper=paper,
        target=f"{_ROOM}.{target}",
    )


def _proof(name: str, states: str, rows: tuple[int, ...], paper: str) -> System:
    return System(
        name=name,
        family="learning",
        title=f"Proof: {states}",
        kind="proof",
        rows=(7, *rows),
        paper=paper,
        target=f"{_PROOFS}.{name.replace('-', '_')}:prove",
    )


SYSTEMS: tuple[System, ...] = (
    _tool(
        "dilution",
        "Models of high likelihood and poor samples, and the other way round",
        (3,),
        "Theis, van den Oord and Bethge, 2016; Parzen, 1962",
        "likelihood_and_quality:diluted_log_prob",
    ),
    _proof(
        "likelihood-is-not-quality",
        "high likelihood with poor samples, and good samples with low likelihood",
        (3,),
        "Theis, van den Oord and Bethge, 2016",
    ),
    _tool(
        "gaussian-integrals",
        "The two integrals of a VAE's divergence",
        (171,),
        "Kingma and Welling, 2014",
        "elbo_divergence:negative_divergence",
    ),
    _proof("elbo-divergence", "the divergence in the ELBO", (171,), "Kingma and Welling, 2014"),
    _tool(
        "discriminator-optimum",
        "The best discriminator between two densities, and what it is worth",
        (172,),
        "Goodfellow et al., 2014",
        "optimal_discriminator:optimal_discriminator",
    ),
    _proof(
        "optimal-discriminator",
        "D* = p / (p + q), worth 2 JSD - log 4",
        (172,),
        "Goodfellow et al., 2014",
    ),
    _tool(
        "expectation-gradients",
        "The gradient of an expectation: moved inside, or by the score",
        (173,),
        "Kingma and Welling, 2014; Williams, 1992",
        "reparametrised:pathwise_gradients",
    ),
    _proof(
        "bellman-contraction",
        "the Bellman operator brings values closer by the factor gamma",
        (174,),
        "Bellman, 1957; Denardo, 1967",
    ),
    _tool(
        "implicit-derivative",
        "Derivatives of what an equation defines, and of the depth of a ray",
        (176,),
        "Niemeyer et al., 2020",
        "implicit_differentiation:implicit_derivative",
    ),
    _proof(
        "implicit-differentiation",
        "dy/dx = -(dF/dy)^-1 dF/dx, on a circle and through a ray's depth",
        (176,),
        "Niemeyer et al., 2020",
    ),
    _tool(
        "secant",
        "The secant method, and the false position, which keeps a bracket",
        (177,),
        "Ostrowski, 1966; Dowell and Jarratt, 1971",
        "secant:secant",
    ),
    _proof(
        "secant-method",
        "the secant method converges with order 1.618, and fails where f is flat",
        (177,),
        "Ostrowski, 1966; Dowell and Jarratt, 1971",
    ),
    _tool(
        "plane",
        "The plane through three points",
        (178,),
        "Gibbs, 1881",
        "plane:plane_through",
    ),
    _proof("plane-from-points", "n . p + k = 0 with k = -n . a", (178,), "Gibbs, 1881"),
    _tool(
        "torus",
        "The signed distance and the volume of a torus",
        (179,),
        "Hart, 1996",
        "torus:torus_distance",
    ),
    _proof(
        "torus-distance",
        "a torus has a distance with slope 1, and the volume 2 pi^2 R r^2",
        (179,),
        "Hart, 1996; Pappus of Alexandria",
    ),
    _tool(
        "derivatives",
        "The rules of differentiation, as functions",
        (180,),
        "Leibniz, 1684",
        "derivative_rules:product_rule",
    ),
    _proof(
        "derivative-rules",
        "the product, quotient, chain, inverse and log rules",
        (180,),
        "Leibniz, 1684",
    ),
    _tool(
        "determinant-update",
        "The determinant after a change of low rank",
        (181,),
        "Sylvester, 1851; Harville, 1997",
        "determinant_lemma:determinant_after_update",
    ),
    _proof(
        "matrix-determinant-lemma",
        "det(A + U V^T) = det(I + V^T A^-1 U) det A",
        (181,),
        "Sylvester, 1851; Harville, 1997",
    ),
    _tool(
        "jensen-gap",
        "Jensen's inequality, and the evidence bound that follows",
        (182,),
        "Jensen, 1906",
        "jensen:jensen_gap",
    ),
    System(
        name="jensen",
        family="learning",
        title="The chord of a convex function lies above it, and log p above the ELBO",
        kind="lesson",
        rows=(182,),
        paper="Jensen, 1906",
        target=f"{_ROOM}.lessons.jensen:demonstrate",
    ),
    _proof("jensen-inequality", "f(E x) <= E f(x), so that ELBO <= log p", (182,), "Jensen, 1906"),
    _tool(
        "bayes-table",
        "Bayes' rule on a table",
        (183,),
        "Bayes, 1763; Laplace, 1774",
        "bayes:posterior",
    ),
    System(
        name="bayes",
        family="learning",
        title="What a positive test says of something rare",
        kind="lesson",
        rows=(183,),
        paper="Bayes, 1763; Laplace, 1774",
        target=f"{_ROOM}.lessons.bayes:demonstrate",
    ),
    _proof("bayes-rule", "p(h | e) = p(h) p(e | h) / p(e)", (183,), "Bayes, 1763; Laplace, 1774"),
    _tool(
        "affine",
        "Affine maps as matrices of homogeneous coordinates",
        (183,),
        "Moebius, 1827",
        "affine:homogeneous",
    ),
    _proof(
        "affine-map",
        "affine = linear + translation, and maps compose as matrices",
        (183,),
        "Moebius, 1827",
    ),
)
