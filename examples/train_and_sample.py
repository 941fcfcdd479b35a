"""Train a VAE on binarized 8x8 digits, score it, and write a picture of its samples.

python examples/train_and_sample.py            # 300 steps, some seconds
python examples/train_and_sample.py 60s        # better digits
"""

import sys

import phosphene as ph
from phosphene.subjects.dataset.drawing import sample
from phosphene.subjects.dataset.writing import save_drawn


def main(budget: str = "300steps") -> None:
    """Train, score, draw."""
    run = ph.train("vae", data="digits-binary", budget=budget, latent_dim=16)
    print("run:", run.path)
    for name, score in ph.evaluate(run, samples=300, particles=50).items():
        print(f"{name:20} {score.value:9.4f}  {score.kind}")

    # The model is an ordinary torch module: codes in, codes out.
    x = run.model.sample(4)
    assert x.shape == (4, 1, 8, 8)
    assert int(x.max()) <= 1

    # The picture that `phosphene sample RUN` writes.
    drawn = sample(run, 64, mean=True)
    print("picture:", save_drawn(run, drawn)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
