"""Learning in tables: the loop in Python, which defines what the kernel does."""

import math
from dataclasses import fields
from itertools import accumulate

import torch
from torch import Tensor

from phosphene.kernels.tabular_state import Progress, Settings, Transition, World, uniform

__all__ = ["Reference"]

START, EXPLORE, PICK, OUTCOME, TABLE, TAIL_EXPLORE, TAIL_PICK = range(7)
"""What a random number of a step is for."""
_FAINT = 1e-100  # a trace below this is none: it spares the processor numbers near underflow


class Reference:
    """The loop. Tables are lists while it runs: scalars of tensors and arrays are slow.

    Args:
        world: What is acted in.
        settings: What is learned and how.
        progress: How far it has come; :meth:`close` writes to it.
        policy: (2, S, A): cumulated probabilities, and the probabilities; for ``policy``.
    """

    table: list[float]
    visits: list[int]
    returns: list[float]
    lengths: list[int]
    score: list[float]
    trace: list[float]
    pending: list[float]
    live: list[int]
    seen: list[int]
    keys: list[int]
    rewards: list[float]
    firsts: list[int]

    def __init__(
        self, world: World, settings: Settings, progress: Progress, policy: Tensor | None
    ) -> None:
        self.world, self.set, self.progress = world, settings, progress
        self.A, self.size = settings.actions, settings.states * settings.actions
        self.double = settings.method == "double-q-learning"
        follows = settings.exploration == "policy"
        self.policy = policy.tolist() if policy is not None and follows else None
        self.names = [f.name for f in fields(progress) if f.name != "at"]
        for name in self.names:
            setattr(self, name, getattr(progress, name).flatten().tolist())
        at = progress.at.tolist()
        self.state, self.action, self.clock, self.episode, self.steps, live, self.fresh = at
        self.live = self.live[:live]

    def close(self) -> None:
        """Write the state back."""
        at = [self.state, self.action, self.clock, self.episode, self.steps, len(self.live)]
        self.progress.at.copy_(torch.tensor([*at, self.fresh]))
        for name in self.names:
            kept, values = getattr(self.progress, name), getattr(self, name)
            given = torch.tensor(values, dtype=kept.dtype)
            if len(values) > kept.numel():  # an episode that outgrew its room
                setattr(self.progress, name, given)
            else:
                kept.view(-1)[: len(values)] = given

    def step(self) -> Transition:
        """One step of the environment, and what is learned from it."""
        key, limit = self.set.key, self.set.limit
        if self.fresh:
            self.state = self.world.begin(uniform(key, self.steps, START), self.episode)
            self.fresh, self.clock, self.action, self.score = 0, 0, -1, [0.0]
        s = self.state
        a = self.action if self.action >= 0 else self.choose(s, self.steps, 0)
        self.action = -1
        reward, s2, ended, cut = self.world.step(s, a, uniform(key, self.steps, OUTCOME))
        cut = not ended and (cut or (limit > 0 and self.clock + 1 >= limit))
        self.update(s, a, reward, s2, ended, cut)
        self.state = s2
        self.score[0] += reward
        self.clock += 1
        self.steps += 1
        if ended or cut:
            self.returns[self.episode % self.set.history] = self.score[0]
            self.lengths[self.episode % self.set.history] = self.clock
            self.episode += 1
            self.fresh = 1
        return Transition(s, a, s2, 1 if ended else 2 if cut else 0, reward)

    # -- acting ----------------------------------------------------------------------------------

    def liking(self, s: int) -> list[float]:
        """By what actions are chosen: Q(s, .), or the sum of both tables."""
        i = s * self.A
        row = self.table[i : i + self.A]
        if self.double:
            other = self.table[self.size + i : self.size + i + self.A]
            return [x + y for x, y in zip(row, other, strict=True)]
        return row

    def best(self, row: list[float], u: float) -> int:
        """The best action; among equals by u, or the first."""
        most, count, where = row[0], 1, 0
        for a in range(1, len(row)):
            if row[a] > most:
                most, count, where = row[a], 1, a
            elif row[a] == most:
                count += 1
        if count == 1 or self.set.first_tie:
            return where
        equals = [a for a in range(where, len(row)) if row[a] == most]
        return equals[int(u * count)] if equals else where

    def boltzmann(self, row: list[float], step: int) -> list[float]:
        """exp((Q - max Q) / temperature)."""
        temperature, most = self.set.epsilon.at(step, self.episode, 0), max(row)
        return [math.exp((q - most) / temperature) for q in row]

    def choose(self, s: int, step: int, shift: int) -> int:
        """An action in s at that step; ``shift`` for one that is not taken."""
        key, how = self.set.key, self.set.exploration
        u = uniform(key, step, EXPLORE + shift)
        if how == "epsilon-greedy":
            pick = uniform(key, step, PICK + shift)
            if u < self.set.epsilon.at(step, self.episode, 0):
                return int(pick * self.A)
            return self.best(self.liking(s), pick)
        if self.policy is not None:
            cumulated, mark = self.policy[0][s], u
        else:
            cumulated = list(accumulate(self.boltzmann(self.liking(s), step)))
            mark = u * cumulated[-1]
        return next((a for a in range(self.A - 1) if cumulated[a] > mark), self.A - 1)

    def expectation(self, s: int, step: int) -> float:
        """E Q(s, A) under what is followed."""
        row = self.table[s * self.A : (s + 1) * self.A]
        if self.policy is not None:
            return _dot(self.policy[1][s], row)
        if self.set.exploration == "softmax":
            weights = self.boltzmann(row, step)
            return _dot(weights, row) / _sum(weights)
        e = self.set.epsilon.at(step, self.episode, 0)
        return (1 - e) * max(row) + e * (_sum(row) / self.A)

    # -- learning --------------------------------------------------------------------------------

    def update(self, s: int, a: int, r: float, s2: int, ended: bool, cut: bool) -> None:
        """What a method makes of one transition; after an end nothing follows."""
        method = self.set.method
        k = self.entry(s, a)
        needs = method in ("sarsa", "n-step") or (method == "monte-carlo" and cut)
        tail = self.follow(s2, cut) if needs and not ended else 0.0
        if method == "none":
            return
        if method == "double-q-learning":
            self.learn_double(k, s2, r, ended)
        elif method == "monte-carlo":
            self.remember(k, r)
            if ended or cut:
                self.learn_returns(ended, tail)
        elif method == "n-step":
            self.keys[self.clock % self.set.n], self.rewards[self.clock % self.set.n] = k, r
            self.learn_n_steps(ended, cut, tail)
        else:
            value = 0.0 if ended else tail if method == "sarsa" else self.beyond(s2)
            target = r if ended else r + self.set.gamma * value
            if method == "sarsa" and (self.set.lambda_ > 0 or self.set.offline):
                self.learn_traces(k, target, ended or cut)
            else:
                self.learn(k, target)

    def entry(self, s: int, a: int) -> int:
        """Where the table holds V(s) or Q(s, a)."""
        return s if self.set.width == 1 else s * self.A + a

    def follow(self, s: int, cut: bool) -> float:
        """The value of the next pair on the policy; its action is taken unless all is cut off."""
        a = self.choose(s, self.steps + 1, TAIL_EXPLORE - EXPLORE if cut else 0)
        if not cut:
            self.action = a
        return self.table[self.entry(s, a)]

    def beyond(self, s: int) -> float:
        """The value of s to expected SARSA and to Q-learning."""
        if self.set.method == "expected-sarsa":
            return self.expectation(s, self.steps + 1)
        return max(self.table[s * self.A : (s + 1) * self.A])

    def learn(self, k: int, target: float) -> None:
        """table[k] += alpha (target - table[k])."""
        alpha = self.set.alpha.at(self.steps, self.episode, self.visits[k])
        self.visits[k] += 1
        self.table[k] += alpha * (target - self.table[k])

    def learn_double(self, k: int, s: int, r: float, ended: bool) -> None:
        """One table chooses the next action, the other says what it is worth."""
        own = 0 if uniform(self.set.key, self.steps, TABLE) < 0.5 else self.size
        target = r
        if not ended:
            row = self.table[own + s * self.A : own + (s + 1) * self.A]
            a = self.best(row, uniform(self.set.key, self.steps, TAIL_PICK))
            target = r + self.set.gamma * self.table[self.size - own + s * self.A + a]
        self.learn(own + k, target)

    def learn_traces(self, k: int, target: float, done: bool) -> None:
        """Table += alpha delta trace, and traces fade by gamma lambda."""
        delta = target - self.table[k]
        self.visits[k] += 1
        trace, live = self.trace, self.live
        if trace[k] == 0:
            live.append(k)
        trace[k] = 1.0 if self.set.replacing else trace[k] + 1
        changed = self.pending if self.set.offline else self.table
        j = 0
        while j < len(live):
            i = live[j]
            alpha = self.set.alpha.at(self.steps, self.episode, self.visits[i] - 1)
            changed[i] += alpha * delta * trace[i]
            trace[i] *= self.set.gamma * self.set.lambda_
            if trace[i] < _FAINT or done:
                trace[i] = 0.0
                last = live.pop()
                if j < len(live):
                    live[j] = last
            else:
                j += 1
        if done and self.set.offline:
            self.table = [v + p for v, p in zip(self.table, self.pending, strict=True)]
            self.pending = [0.0] * len(self.pending)

    def learn_n_steps(self, ended: bool, cut: bool, tail: float) -> None:
        """Learn from the transition n steps ago, and at the end from all that are left."""
        n, first = self.set.n, self.clock + 1 - self.set.n
        for start in range(max(first, 0), (self.clock if ended or cut else first) + 1):
            g = tail
            for i in range(self.clock, start - 1, -1):
                r = self.rewards[i % n]
                g = r if ended and i == self.clock else r + self.set.gamma * g
            self.learn(self.keys[start % n], g)

    def remember(self, k: int, r: float) -> None:
        """Keep a transition of this episode."""
        if self.clock == len(self.keys):
            for kept in (self.keys, self.rewards, self.firsts):
                kept.append(0)
        self.keys[self.clock], self.rewards[self.clock] = k, r
        self.firsts[self.clock] = int(self.seen[k] != self.episode + 1)
        self.seen[k] = self.episode + 1

    def learn_returns(self, ended: bool, tail: float) -> None:
        """Learn from the whole episode, from its end to its start."""
        g = tail
        for i in range(self.clock, -1, -1):
            r = self.rewards[i]
            g = r if ended and i == self.clock else r + self.set.gamma * g
            if self.firsts[i] or not self.set.first_visit:
                self.learn(self.keys[i], g)


def _sum(values: list[float]) -> float:
    """From the left, each sum rounded: ``sum`` carries more digits from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def _dot(weights: list[float], values: list[float]) -> float:
    return _sum([w * v for w, v in zip(weights, values, strict=True)])
