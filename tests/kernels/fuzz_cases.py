"""Random calls of the kernels, valid ones and broken ones, made from the declarations."""

import math
import random
from dataclasses import replace
from itertools import pairwise

import torch

import phosphene.kernels.dynamic_programming
import phosphene.kernels.environments
import phosphene.kernels.group_norm
import phosphene.kernels.image_net
import phosphene.kernels.masked
import phosphene.kernels.mlp
import phosphene.kernels.nade
import phosphene.kernels.returns
import phosphene.kernels.sum_tree
import phosphene.kernels.surrogate
import phosphene.kernels.tabular
import phosphene.kernels.td_error
import phosphene.kernels.wavenet  # noqa: F401  (each registers its declarations)
from phosphene.kernels.declaration import (
    Array,
    Bound,
    Choice,
    Derived,
    Flag,
    Kernel,
    Many,
    Out,
    Range,
    Real,
    Rule,
    Size,
    Type,
    Whole,
)  # fmt: skip
from phosphene.kernels.gate import DECLARED
from phosphene.kernels.tabular_state import EXPLORATIONS, METHODS, ScheduleCode, Settings
from tests.kernels.breaking import broken, relaid

DTYPES = {"int32": torch.int32, "int64": torch.int64, "uint8": torch.uint8, "bool": torch.bool,
          "float32": torch.float32, "float64": torch.float64,
          "bfloat16": torch.bfloat16}  # fmt: skip
OPTIONS = {
    "softplus": (1e-3, 0.5), "sigmoid": (1e-3, 2.0),
    "spline": (1.5, 0.0, 1e-3, 2e-3, 1e-3, 0.54, 0.54, 0.0),
}  # fmt: skip
LINKED = ({"given", "known"}, {"given", "kept"})


def renamed(a, name):
    return replace(a, name=name)


def _targets():
    """Kernels whose arguments are those of a public function."""
    found = {name: DECLARED[name] for name in (
        "nade", "masked", "wavenet", "advantages", "tree_set", "tree_draw", "td_error",
        "surrogate", "dp_sweeps", "dp_gauss_seidel", "dp_greedy", "dp_check", "group_norm",
        "group_norm_backward", "half_group_norm", "half_group_norm_backward")}  # fmt: skip
    for name in ("dp_sweeps", "dp_gauss_seidel", "dp_greedy"):
        rules = (*found[name].rules, *DECLARED["dp_process"].rules)
        found[name] = replace(found[name], rules=rules)
    arrays, net = DECLARED["image_net_arrays"], DECLARED["image_net"]
    x, first, second = (a for a in net.arguments if isinstance(a, Array) and a.name != "numbers")
    more = (x, renamed(first, "more_first"), renamed(second, "more_second"))
    found["image_net"] = replace(arrays, arguments=arrays.arguments + more, empty=("n",))
    network = DECLARED["mlp_network"].arguments[1:]
    x = Array("x", ("n", "I"))
    found["mlp_forward"] = Kernel("mlp", (x, *network), empty=("n",))
    grad = Array("grad_y", ("n", "H_last"))
    found["mlp_backward"] = Kernel("mlp", (x, *network, grad, Whole("cut", 0, 0)), empty=("n",))
    return found


TARGETS = _targets()
NAMES = (*TARGETS, "tabular", "environments")


class Draw:
    """One valid call of a kernel."""

    def __init__(self, kernel, rng, sizes=None):
        self.kernel, self.rng, self.preset = kernel, rng, sizes or {}
        self.g = torch.Generator().manual_seed(rng.getrandbits(40))
        self.real = rng.choice([torch.float64] * 3 + [torch.float32])

    def call(self):
        for _ in range(20_000):
            self.scalars()
            if self.fits():
                return self.values()
        raise AssertionError(f"no sizes fit the rules of {self.kernel.name}")

    def scalars(self):
        rng, self.space = self.rng, {}
        symbols, self.given, self.codes = set(), {}, {}
        for a in self.kernel.arguments:
            if isinstance(a, Array):
                symbols |= {d for d in a.shape if isinstance(d, str) and d.isidentifier()}
                self.given[a.name] = not (a.optional and rng.random() < 0.5)
            elif isinstance(a, Many):
                symbols.add(a.count)
            elif isinstance(a, Size | Derived):
                symbols.add(a.name)
            elif isinstance(a, Whole):
                self.space[a.name] = rng.randint(a.low, min(a.high, a.low + 6))
            elif isinstance(a, Real):
                low, high = max(a.low, -1.0), min(a.high, 1.5)
                self.space[a.name] = rng.choice(
                    [low if math.isfinite(low) else 0.0, rng.uniform(max(low, 0.0), high)]
                )
            elif isinstance(a, Flag):
                self.space[a.name] = rng.random() < 0.5
            elif isinstance(a, Choice):
                self.codes[a.name] = rng.choice(list(a.codes))
                self.space[a.name] = a.codes[self.codes[a.name]]
        optional = {a.name for a in self.kernel.arguments if getattr(a, "optional", False)}
        for names in LINKED:
            if names <= optional:
                for name in names:
                    self.given[name] = self.given[min(names)]
        for s in sorted(symbols):
            least = 0 if s in self.kernel.empty and rng.random() < 0.15 else 1
            self.space[s] = rng.randint(least, rng.choice([3, 5, 9]))
        self.space |= self.preset
        if "K" in symbols and {"S", "A"} <= symbols:
            self.space["K"] = self.space["S"] * self.space["A"] + rng.randint(0, 6)
        if "k1" in symbols:
            self.space |= {f"k{i}": rng.choice([1, 1, 3, 5]) for i in (1, 2, 3)}
        for a in self.kernel.arguments:
            if isinstance(a, Many) and a.chain:
                name, begin = a.chain
                widths = [rng.randint(1, 20) for _ in range(self.space[a.count])]
                last = widths[-1] if widths else eval(begin, {}, self.space)
                self.space |= {name: widths, f"{name}_last": last}
            elif isinstance(a, Derived) and "weights" not in a.expression:
                self.space[a.name] = eval(a.expression, {}, self.space)
        if "top" in symbols:
            self.space["top"] = self.space["H_last"]

    def fits(self):
        if any(
            isinstance(v, int) and k not in self.kernel.empty and v < 1
            for k, v in self.space.items()
            if k in ("m", "F", "size")
        ):
            return False
        there = {name: (object() if given else None) for name, given in self.given.items()}
        for rule in self.kernel.rules:
            if isinstance(rule, Rule):
                try:
                    if not eval(rule.holds, {}, {**there, **self.space}):
                        return False
                except (NameError, TypeError, AttributeError):
                    continue  # of values, which are made to fit
        return True

    def values(self):
        made = self.made = {}
        for a in self.kernel.arguments:
            if isinstance(a, Array):
                made[a.name] = self.tensor(a) if self.given[a.name] else None
            elif isinstance(a, Many):
                made[a.name] = [
                    torch.randn(shape, generator=self.g, dtype=self.real) for shape in self.each(a)
                ]
            elif isinstance(a, Choice):
                made[a.name] = self.codes[a.name]
            elif isinstance(a, Whole | Real | Flag | Size):
                made[a.name] = self.space[a.name]
            else:
                assert isinstance(a, Out | Bound | Derived | Type)
        return made

    def each(self, a):
        widths = self.space["H"]
        if a.chain:
            return list(zip(widths, [eval(a.chain[1], {}, self.space), *widths], strict=False))
        rows = (self.space["n"],) if a.rows_as and self.space.get("rows of " + a.rows_as) else ()
        return [(*rows, w) for w in widths]

    def tensor(self, a):
        shape = a.shape
        if a.rows and self.rng.random() < 0.5:
            shape = a.rows
            self.space["rows of " + a.name] = True
        if a.shape_with and self.given[a.shape_with[0]]:
            shape = a.shape_with[1]
        shape = [eval(str(d), {}, self.space) for d in shape]
        made = self.maker(a, shape)
        return made if made is not None else self.random(a, shape)

    def maker(self, a, shape):
        """Values that rules say something of which no range says."""
        space, rng = self.space, self.rng
        if a.name == "indptr":
            cuts = sorted(rng.sample(range(1, space["K"]), shape[0] - 2)) if shape[0] > 2 else []
            return torch.tensor([0, *cuts, space["K"]])
        if a.name == "known" and a.dtype == "int64":
            rows = [sorted(rng.randint(0, w) for _ in range(shape[1])) for w in space["H"]]
            rows = rows[:1] * len(rows) if space["residual"] else rows
            return torch.tensor(rows, dtype=torch.int64).reshape(shape)
        if a.name == "options":
            kept = OPTIONS.get(self.codes["kind"], ())
            return torch.tensor([*kept, *[0.0] * (8 - len(kept))], dtype=torch.float64)
        if a.name == "policy" and len(shape) == 3:
            return torch.rand(shape, generator=self.g, dtype=torch.float64)
        if a.name in ("cumulative", "start") and a.dtype == "float64":  # within rows, up to 1
            made = torch.rand(shape, generator=self.g, dtype=torch.float64)
            ends = self.made["indptr"].tolist() if a.name == "cumulative" else [0, *shape]
            for low, high in pairwise(ends):
                made[low:high] = made[low:high].sort().values
                made[high - 1] = 1.0
            return made
        return None

    def random(self, a, shape):
        low, high = 0, 2
        for r in self.kernel.rules:
            if isinstance(r, Range) and r.name == a.name and not r.part.startswith("at["):
                low, high = (eval(e, {}, {**self.space, "at": [0] * 7}) for e in (r.low, r.high))
        if a.dtype in ("int32", "int64", "uint8"):
            high = min(high, low + 12)
            return torch.randint(low, max(high, low + 1), shape, generator=self.g,
                                 dtype=DTYPES[a.dtype])  # fmt: skip
        if a.dtype == "bool":
            return torch.rand(shape, generator=self.g) < 0.5
        if a.dtype == "number":
            return torch.randint(0, max(high, 1), shape, generator=self.g).to(
                self.rng.choice([self.real, torch.int64]))  # fmt: skip
        dtype = self.real if a.dtype == "real" else DTYPES[a.dtype]
        if a.name in ("u", "value") and a.dtype in ("real", "float64"):
            return torch.rand(shape, generator=self.g, dtype=dtype)
        return torch.randn(shape, generator=self.g, dtype=dtype) * self.rng.choice([0.3, 1.0])


# -- two that have no arguments of their own -------------------------------------------------------


def tabular(rng):
    method, exploration = rng.choice(METHODS), rng.choice(EXPLORATIONS)
    states, actions = rng.randint(1, 5), rng.randint(1, 3)
    width = actions
    if exploration == "policy" and method in ("none", "monte-carlo", "sarsa", "n-step"):
        width = rng.choice([1, actions])
    plain = {
        "states": states, "actions": actions, "width": width, "method": method,
        "exploration": exploration, "alpha": (0, 0, 0.5), "epsilon": (0, 0, 0.3),
        "lambda_": rng.choice([0.0, 0.8]), "n": rng.randint(1, 4), "history": rng.randint(1, 5),
        "offline": rng.random() < 0.3, "limit": rng.choice([0, 3]), "key": rng.getrandbits(40),
    }  # fmt: skip
    schedules = {name: ScheduleCode(*plain[name]) for name in ("alpha", "epsilon")}
    settings = Settings(**{**plain, **schedules})
    names = ("S", "A", "E", "traced", "waiting", "remembered", "N", "history")
    sizes = dict(zip(names, settings.sizes, strict=True))
    kernel = DECLARED["tabular"]
    sizes |= {"follows": exploration == "policy", "steps": rng.randint(0, 12), "episodes": 50}
    sizes["capacity"] = max(sizes["N"], rng.randint(1, 5) if method == "monte-carlo" else 0)
    without = [a for a in kernel.arguments if a.name not in ("path", "path_reward", "room")]
    draw = Draw(replace(kernel, arguments=tuple(without)), rng, sizes)
    made = draw.call()
    if exploration == "policy" and made["policy"] is None:
        made["policy"] = torch.rand(2, states, actions, dtype=torch.float64, generator=draw.g)
    made["live"] = torch.randperm(sizes["traced"], generator=draw.g)
    made["seen"].zero_()
    clock = (
        rng.randint(0, min(3, sizes["capacity"])) if method == "monte-carlo" else rng.randint(0, 3)
    )
    episode = rng.randint(0, 3)
    made["at"] = torch.tensor([
        rng.randrange(states), rng.randint(-1, actions - 1), clock, episode, rng.randint(0, 99),
        rng.randint(0, sizes["traced"]), int(rng.random() < 0.3)])  # fmt: skip
    made["keys"] = made["keys"] % (states * width)
    return {**made, "settings": plain, "record": rng.random() < 0.5}


ENVIRONMENTS = {
    "CartPole-v1": (4, 2), "Acrobot-v1": (4, 3), "MountainCar-v0": (2, 3), "Catch": (3, 3),
    "MountainCarContinuous-v0": (2, None), "Pendulum-v1": (2, None),
}  # fmt: skip


def environments(rng):
    name, n = rng.choice(list(ENVIRONMENTS)), rng.randint(1, 4)
    size, actions = ENVIRONMENTS[name]
    g = torch.Generator().manual_seed(rng.getrandbits(40))
    state = torch.rand(n, size, generator=g, dtype=torch.float64)
    if name == "Catch":
        state = torch.randint(0, 9, (n, size), generator=g).double()
    action = torch.rand(n, 1, generator=g) if actions is None else torch.randint(
        0, actions, (n,), generator=g)  # fmt: skip
    return {
        "name": name, "n": n, "state": state, "clock": torch.randint(0, 9, (n,), generator=g),
        "episode": torch.randint(0, 9, (n,), generator=g), "action": action,
    }  # fmt: skip


def case(name, seed):
    """(name, seed, arguments, kind): kind is valid, relaid or broken."""
    rng = random.Random(f"{name} {seed}")
    if name == "tabular":
        made = tabular(rng)
    elif name == "environments":
        made = environments(rng)
    else:
        made = Draw(TARGETS[name], rng).call()
    kind = rng.choice(["valid", "valid", "relaid", "relaid", "broken", "broken", "broken"])
    keys = [k for k in made if k not in ("settings", "record", "name", "n")]
    written = {a.name for a in TARGETS[name].arguments if getattr(a, "written", False)} if (
        name in TARGETS) else {a.name for a in DECLARED["tabular"].arguments
                               if getattr(a, "written", False)}  # fmt: skip
    if kind == "relaid":
        for k in keys:
            if isinstance(made[k], torch.Tensor) and k not in written and rng.random() < 0.5:
                made[k] = relaid(made[k], rng)
    if kind == "broken":
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            k, other = rng.choice(keys), rng.choice(keys)
            tensors = all(isinstance(made[x], torch.Tensor) for x in (k, other))
            if tensors and k != other and rng.random() < 0.15:
                made[k], made[other] = made[other], made[k]
            elif k != "visits":  # numbers of visits lead nowhere: the library does not look
                made[k] = broken(made[k], rng)
    return name, seed, made, kind


def cases(count, seed=0):
    """So many calls, all kernels in turns."""
    return [case(NAMES[i % len(NAMES)], seed + i // len(NAMES)) for i in range(count)]
