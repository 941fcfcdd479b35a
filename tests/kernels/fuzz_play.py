"""Plays calls that were written to a file, each in a process that may die of it.

    python fuzz_play.py CASES RESULTS [LIMIT]

It knows the public functions and nothing of declarations or gates.
"""

import copy
import json
import math
import os
import signal
import sys

import numpy as np
import torch

from phosphene.core.errors import PhospheneError
from phosphene.decision.deep.ppo import generalized_advantage, loss_of_logits
from phosphene.decision.environments import acrobot, cartpole, catch, mountain_car, pendulum
from phosphene.decision.environments.vectorized import VectorEnvironment
from phosphene.generative.autoregressive.nade import sample_in_turn
from phosphene.generative.diffusion.layers.norm import passes, passes_back
from phosphene.kernels import dynamic_programming as dp
from phosphene.kernels.group_norm import group_norm, group_norm_backward
from phosphene.kernels.image_net import ImageNetArrays, image_net, packed
from phosphene.kernels.library import forced
from phosphene.kernels.masked import Head, MaskedArrays, masked_sample
from phosphene.kernels.mlp import mlp_backward, mlp_forward
from phosphene.kernels.nade import nade_sample
from phosphene.kernels.returns import advantages
from phosphene.kernels.sum_tree import tree_draw, tree_set
from phosphene.kernels.surrogate import Moments, Weights, surrogate
from phosphene.kernels.tabular import Progress, ScheduleCode, Settings, TableWorld, advance
from phosphene.kernels.td_error import td_error
from phosphene.kernels.wavenet import WavenetArrays, wavenet_sample

COUNTS = {"softplus": 2, "sigmoid": 2, "spline": 8}
DYNAMICS = {
    "CartPole-v1": cartpole.CartPole, "Acrobot-v1": acrobot.Acrobot, "Catch": catch.Catch,
    "MountainCar-v0": mountain_car.MountainCar, "Pendulum-v1": pendulum.Pendulum,
    "MountainCarContinuous-v0": mountain_car.MountainCarContinuous,
}  # fmt: skip


class Skip(Exception):
    """There is no such call: the test itself cannot make it."""


def pair(a, other):
    return None if a["given"] is None and a[other] is None else (a["given"], a[other])


def nade(a):
    return nade_sample(
        a["w"], a["v"], a["b"], a["c"], a["u"], activation=a["activation"],
        temperature=a["temperature"], given=pair(a, "known"),
        formula=sample_in_turn)  # fmt: skip


def masked(a):
    options, known = a["options"], a["known"]
    if not isinstance(options, torch.Tensor) or options.is_meta or not isinstance(
            a["kind"], str) or options.dim() != 1 or options.is_complex():  # fmt: skip
        raise Skip
    if isinstance(known, torch.Tensor):
        if known.is_meta:
            raise Skip
        known = known[:1000].tolist() if known.dim() else known.item()
    head = Head(a["kind"], options=tuple(options[: COUNTS.get(a["kind"], 0)].tolist()))
    net = MaskedArrays(a["weights"], a["biases"], known, a["head"], a["head_bias"], a["direct"],
                       a["activation"], a["residual"])  # fmt: skip
    return masked_sample(net, head, a["u"], a["z"], temperature=a["temperature"],
                         given=pair(a, "kept"))  # fmt: skip


def wavenet(a):
    dilations = a["dilations"]
    if isinstance(dilations, torch.Tensor):
        if dilations.is_meta or dilations.dim() != 1 or len(dilations) > 1000:
            raise Skip
        dilations = tuple(dilations.tolist())
    if not isinstance(dilations, tuple):
        raise Skip
    names = list(WavenetArrays.__dataclass_fields__)[1:]
    net = WavenetArrays(dilations, *(a[name] for name in names))
    return wavenet_sample(net, a["u"], temperature=a["temperature"], given=pair(a, "kept"))


def image(a):
    net = ImageNetArrays(
        [a["first"], a["second"], a["head"]],
        [a["first_bias"], a["second_bias"], a["head_bias"]],
        a["activation"],
    )
    return image_net(packed(net), a["x"], a["more_first"], a["more_second"])


def returns(a):
    return advantages(a["reward"], a["value"], a["following"], a["terminated"], a["done"],
                      gamma=a["gamma"], lambda_=a["lambda_"],
                      formula=generalized_advantage)  # fmt: skip


def setting(a):
    tree_set(a["tree"], a["index"], a["value"])
    return a["tree"]


def differences(a):
    q = a["q"]
    if isinstance(q, torch.Tensor) and q.dtype.is_floating_point and not q.is_meta:
        q = q.detach().requires_grad_()
    found = td_error(q, a["action"], a["reward"], a["discount"], a["value"], weight=a["weight"],
                     chooser=a["chooser"], huber=a["huber"])  # fmt: skip
    return *(f.detach() for f in found), *torch.autograd.grad(found[0], q)


def clipped(a):
    moments = Moments(a["action"], a["log_prob"], a["advantage"], a["target"], a["before"])
    clip = a["clip_value"]
    weights = Weights(a["clip"], None if clip == -1 else clip, a["c_value"], a["c_entropy"])
    return surrogate(a["logits"], a["value"], moments, weights, loss_of_logits)


def forward(a):
    return mlp_forward(a["x"], a["weights"], a["biases"], a["activation"])[0]


def backward(a):
    _, kept = mlp_forward(a["x"], a["weights"], a["biases"], a["activation"], keep=True)
    cut = a["cut"]
    if isinstance(cut, int) and cut:
        kept = kept[: len(kept) // 2]
    return mlp_backward(a["grad_y"], a["x"], kept, a["weights"], a["activation"], need_x=True)


def array(x):
    if not isinstance(x, torch.Tensor):
        return x
    if x.is_meta or x.dtype is torch.bfloat16 or x.numel() > 1 << 22:
        raise Skip
    return x.numpy()


def process(a):
    tables = (array(a[name]) for name in ("indptr", "next", "weight", "rewards"))
    return dp.Process(a["S"], a["A"], *tables, a["gamma"])


def told(found):
    return [torch.as_tensor(x) for x in vars(found).values() if x is not None]


def sweeping(a):
    if isinstance(a["count"], int) and not isinstance(a["count"], bool) and a["count"] < 0:
        raise Skip
    return told(dp.sweeps(
        process(a), array(a["v"]), policy=array(a["policy"]), count=a["count"],
        tolerance=a["tolerance"], factor=a["factor"], ends=a["ends"],
    ))  # fmt: skip


def seidel(a):
    return told(dp.gauss_seidel(process(a), array(a["v"]), first=a["first"], count=a["count"],
                                least=a["least"]))  # fmt: skip


def choosing(a):
    return told(dp.greedy(process(a), array(a["v"]), policy=array(a["policy"]), slack=a["slack"],
                          with_q=a["with_q"]))  # fmt: skip


def checking(a):
    dp.well_formed(a["S"], a["A"], *(array(a[k]) for k in ("indptr", "next", "probability")))
    return ()  # without the library it says False


def learning(a):
    plain = a["settings"]
    schedules = {name: ScheduleCode(*plain[name]) for name in ("alpha", "epsilon")}
    settings = Settings(**{**plain, **schedules})
    names = ("indptr", "next", "cumulative", "reward", "ends", "start")
    world = TableWorld(a["A"], *(a[name] for name in names))
    shape = (-1, settings.states, settings.width)
    if isinstance(a["table"], torch.Tensor) and a["table"].numel() % (shape[1] * shape[2]) == 0:
        a["table"] = a["table"].reshape(shape)
    progress = Progress(**{name: a[name] for name in Progress.__dataclass_fields__})
    steps = a["steps"]
    if steps is None or (isinstance(steps, int) and steps > 1 << 20):
        raise Skip
    if (
        isinstance(progress.at, torch.Tensor)
        and steps
        and isinstance(steps, int)
        and (
            progress.at.shape == (7,)
            and progress.at.dtype is torch.int64
            and (not progress.at.is_meta)
            and progress.at[4] > 1 << 61
        )
    ):
        raise Skip
    met = advance(world, settings, progress, steps=steps, episodes=a["episodes"],
                  policy=a["policy"], record=a["record"])  # fmt: skip
    # Room that was taken, and what is left in it, is no result.
    names = [n for n in vars(progress) if n not in ("keys", "rewards", "firsts", "live")]
    found = [getattr(progress, name).flatten() for name in names]
    return found if met is None else [*found, met.path, met.reward]


def acting(a):
    environment = VectorEnvironment(DYNAMICS[a["name"]](), a["n"], seed=3)
    environment.reset()
    environment.load_state_dict({k: a[k] for k in ("state", "clock", "episode")})
    found = []
    for _ in range(3):
        step = environment.step(a["action"])
        found += [step.observation, step.reward, step.terminated, step.truncated, step.next]
    return found


def normal(a):
    return group_norm(a["x"], a["gain"], a["shift"], a["G"], a["eps"], a["activate"],
                      formula=passes)  # fmt: skip


def normal_back(a):
    a["rate"] = a["rate"].abs() if isinstance(a["rate"], torch.Tensor) else a["rate"]
    return group_norm_backward(a["x"], a["gain"], a["shift"], a["dy"], a["mean"], a["rate"],
                               a["activate"], formula=passes_back)  # fmt: skip


PLAY = {
    "group_norm": normal, "half_group_norm": normal, "group_norm_backward": normal_back,
    "half_group_norm_backward": normal_back,
    "nade": nade, "masked": masked, "wavenet": wavenet, "image_net": image, "advantages": returns,
    "tree_set": setting, "tree_draw": lambda a: tree_draw(a["tree"], a["u"]),
    "td_error": differences, "surrogate": clipped, "mlp_forward": forward,
    "mlp_backward": backward, "dp_sweeps": sweeping, "dp_gauss_seidel": seidel,
    "dp_greedy": choosing, "dp_check": checking, "tabular": learning, "environments": acting,
}  # fmt: skip


def flat(found):
    if isinstance(found, torch.Tensor):
        return [found.detach()]
    return [] if found is None else [t for item in found for t in flat(item)]


def outcome(name, made, choice):
    """What a call gave: ("fine", tensors), ("refused", sentence), ("error", what), or skipped."""
    with forced(choice), torch.no_grad() if name not in ("td_error",) else torch.enable_grad():
        try:
            return "fine", flat(PLAY[name](copy.deepcopy(made)))
        except Skip:
            return "skipped", ""
        except PhospheneError as error:
            return "refused", f"{type(error).__name__}: {error}"
        except MemoryError as error:
            return "refused", f"MemoryError: {error}"
        except Exception as error:
            return "error", f"{type(error).__name__}: {error}"


def finite(value):
    if isinstance(value, torch.Tensor):
        return value.is_meta or bool(torch.isfinite(value).all())
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def equal(name, ours, theirs):
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        wide = 1e-9 if a.dtype is torch.float64 else 2e-3
        if a.dtype is torch.float32 and name in ("nade", "masked", "wavenet"):
            continue  # a draw may fall on the other side of a probability that is rounded
        scale = (
            1.0 + float(b.double().nan_to_num().abs().max())
            if b.numel() and b.dtype != torch.bool
            else 1.0
        )
        if not torch.allclose(a.double(), b.double(), rtol=wide, atol=wide * scale, equal_nan=True):
            return False
    return True


def play(case):
    name, _, made, kind = case
    ours, said = outcome(name, made, "auto")
    theirs, other = outcome(name, made, "off")
    if "error" in (ours, theirs):
        return "error", f"{said or ours!s:.200} | {other!s:.200}"
    if "skipped" in (ours, theirs):
        return "skipped", ""
    if ours != theirs or (ours == "refused" and said != other):
        return "unlike", f"{ours} {str(said)[:150]} | {theirs} {str(other)[:150]}"
    if ours == "refused":
        return ("refused" if kind == "broken" else "refused valid"), said
    if all(map(finite, made.values())) and all(map(finite, (ours, theirs))):
        return ("equal" if equal(name, said, other) else "unequal"), ""
    return "survived", ""


def main(source, target, limit=20):
    torch.set_num_threads(1)
    with open(source, "rb") as file:
        given = torch.load(file, weights_only=False)
    results, at = [None] * len(given), 0
    while at < len(given):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            for i in range(at, len(given)):
                signal.alarm(int(limit))
                try:
                    result = play(given[i])
                except Exception as error:
                    result = ("harness", repr(error))
                signal.alarm(0)
                os.write(write, (json.dumps([i, *result]) + "\n").encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as lines:
            for line in lines:
                i, what, said = json.loads(line)
                results[i] = [what, said]
                at = i + 1
        _, status = os.waitpid(child, 0)
        if at < len(given):
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
            results[at] = ["hang" if number == signal.SIGALRM else "crash", f"signal {number}"]
            at += 1
    with open(target, "w") as file:
        json.dump(results, file)


np.seterr(all="ignore")
if __name__ == "__main__":
    main(*sys.argv[1:])
