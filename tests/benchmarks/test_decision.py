"""The benchmark of decision at a tiny size: it compares before it times, referees fairly."""

import inspect
import json
from dataclasses import replace

import pytest
import torch

from benchmarks import cleanrl_loops, decision, deep_agents
from benchmarks import stable_baselines as sb3
from benchmarks.common import Watch, installed, run_all, write_json
from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.ppo import PPO

TINY = deep_agents.Size(iterations=1, gradients=20, rounds=1)
CHECKS = {
    deep_agents.same_ppo_zoo: sb3.PEER,
    deep_agents.same_dqn_zoo: sb3.PEER,
    deep_agents.same_sac_zoo: sb3.PEER,
    deep_agents.same_ppo_cleanrl: "gymnasium",
    deep_agents.same_dqn_cleanrl: "gymnasium",
}


class OneThread(deep_agents.Threads):
    """Measures nothing."""

    def best(self, name, made):
        return made(1)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_ours_and_the_peers_agree(check):
    if not installed(CHECKS[check]):
        pytest.skip("the peer is not installed")
    assert check() < 1e-4


@pytest.mark.parametrize(
    ("check", "kind", "name", "value"),
    [
        (deep_agents.same_ppo_zoo, PPO, "clip", 0.1),
        (deep_agents.same_ppo_zoo, PPO, "value", 0.4),
        (deep_agents.same_ppo_cleanrl, PPO, "clip_value", None),
        (deep_agents.same_ppo_cleanrl, PPO, "entropy", 0.0),
        (deep_agents.same_dqn_zoo, DQN, "_double", True),
        (deep_agents.same_dqn_zoo, DQN, "huber", False),
        (deep_agents.same_dqn_cleanrl, DQN, "huber", True),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_another_loss_is_noticed(check, kind, name, value, monkeypatch):
    if not installed(CHECKS[check]):
        pytest.skip("the peer is not installed")
    init = kind.__init__

    def changed(self, *args, **kwargs):
        init(self, *args, **kwargs)
        if kind is PPO:
            self.weights = replace(self.weights, **{name: value})
        else:
            setattr(self, name, value)

    changed.__signature__ = inspect.signature(init)
    monkeypatch.setattr(kind, "__init__", changed)
    with pytest.raises(AssertionError, match="differ"):
        check()


def test_the_check_of_ppo_reaches_both_clips():
    for settings in (deep_agents.PPO_ZOO, deep_agents.PPO_CLEANRL):
        agent, batch = deep_agents._rollout(settings, normalize=True)
        policy, value = agent.both(agent.eyes(batch.x))
        ratio = (policy.log_prob(batch.action) - batch.log_prob).exp()
        clipped = ((ratio - 1).abs() > 0.2).float().mean()
        moved = ((value - batch.value).abs() > 0.2).float().mean()
        assert 0.05 < clipped < 0.95
        assert 0.05 < moved < 0.95


def test_every_learner_is_timed_and_written_as_json(tmp_path, monkeypatch):
    few = 8  # gradient steps on both sides
    monkeypatch.setattr(deep_agents, "DQN_ZOO", {**deep_agents.DQN_ZOO, "turns": few})
    monkeypatch.setattr(sb3, "DQN_ZOO", {**sb3.DQN_ZOO, "gradient_steps": few})
    rows = run_all(deep_agents.cases(TINY, OneThread()), 1)
    write_json(rows, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    assert len({row["case"] for row in written}) == len(written)
    for row in written:
        assert row["max_difference"] < 1e-4
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
    if installed(sb3.PEER):
        assert [row["case"][:3] for row in written] == ["PPO"] * 2 + ["DQN"] * 3 + ["SAC"]


def test_ours_is_timed_over_as_many_steps_as_the_peer():
    counted = []

    class Counting(Watch):
        def start(self):
            super().start()
            counted.append("start")

    def steps_of(settings, **options):
        counted.clear()
        run = deep_agents.trained("dqn", "CartPole-v1", settings, options.pop("train"), **options)
        watch = Counting()
        run(1)(watch)
        assert watch.stopped
        return len(counted) - 1  # the one of its making

    # The clock begins at step 0 and again each time that it is told of no more than ``first``.
    small = {**deep_agents.DQN_ZOO, "turns": 1}
    plain = {"lr": 1e-3, "eps": 1e-8, "clip": 10.0, "log_every": 1}
    assert steps_of(small, train=plain, first=1024, last=1280, parts=1) == 2
    assert steps_of(small, train=plain, first=1280, last=1536, parts=1) == 3


# -- threads ------------------------------------------------------------------------------------


def test_each_learner_gets_the_threads_it_is_faster_with():
    tried = []

    def learner(cost):
        def made(threads):
            def run(watch):
                tried.append(threads)
                watch.stop()
                watch.wall = cost[threads]

            return run

        return made

    threads = deep_agents.Threads()
    threads.best("slow with two", learner({1: 1.0, 2: 2.0}))
    threads.best("fast with two", learner({1: 2.0, 2: 1.0}))
    assert (threads.of("slow with two"), threads.of("fast with two")) == (1, 2)
    assert threads.of("unknown") == 1
    tried.clear()
    threads.best("fast with two", learner({1: 0.0, 2: 9.0}))
    assert tried == []  # once is enough


# -- loops with CleanRL's settings --------------------------------------------------------------


def test_the_loop_of_ppo_has_the_advantages_of_the_definition():
    pytest.importorskip("gymnasium")
    s = cleanrl_loops.PPOSettings(environments=2, steps=5)
    loop = cleanrl_loops.PPOLoop("CartPole-v1", settings=s)
    generator = torch.Generator().manual_seed(0)
    reward, value = (torch.randn(5, 2, generator=generator) for _ in range(2))
    done = (torch.rand(5, 2, generator=generator) < 0.4).float()
    loop.done = torch.tensor([0.0, 1.0])
    with torch.no_grad():
        found = loop._advantages(reward, value, done)
        last = loop.critic(loop.next).flatten()
    for e in range(2):
        for t in range(5):  # sums of errors until the episode ends
            expected, weight = 0.0, 1.0
            for k in range(t, 5):
                ends = done[k + 1, e] if k < 4 else loop.done[e]
                following = value[k + 1, e] if k < 4 else last[e]
                error = reward[k, e] + s.gamma * following * (1 - ends) - value[k, e]
                expected += weight * error
                weight *= s.gamma * s.lambda_ * (1 - ends)
            assert float(found[t, e]) == pytest.approx(float(expected), abs=1e-5)


def test_the_loop_of_ppo_learns():
    pytest.importorskip("gymnasium")
    loop = cleanrl_loops.PPOLoop("CartPole-v1", seed=1)
    loop.run(8_000)
    first, last = loop.returns[:20], loop.returns[-20:]
    assert loop.seen == 8_192  # whole rollouts
    assert sum(last) > 1.5 * sum(first)


def test_the_loop_of_dqn_remembers_what_came_before_a_reset():
    pytest.importorskip("gymnasium")
    s = cleanrl_loops.DQNSettings(start=60, every=10, target_every=30, capacity=300, batch_size=16)
    loop = cleanrl_loops.DQNLoop("CartPole-v1", settings=s)
    before = [p.clone() for p in loop.online.parameters()]
    paused = []
    loop.run(200, lambda steps, act: paused.append((steps, act(torch.zeros(3, 4)).shape)))
    assert paused[0] == (10, (3,))
    assert len(paused) == 20
    assert any(not torch.equal(a, b) for a, b in zip(before, loop.online.parameters(), strict=True))
    done = torch.as_tensor(loop.done[:200])
    assert done.sum() >= len(loop.returns) - 1 > 3
    for i in done[:199].nonzero().flatten().tolist():
        assert max(abs(loop.beyond[i][0]) / 2.4, abs(loop.beyond[i][2]) / 0.2095) > 1  # fell
        assert abs(loop.x[i + 1]).max() <= 0.05  # began anew
    kept = (1 - done[:199]).nonzero().flatten().tolist()
    assert all((loop.beyond[i] == loop.x[i + 1]).all() for i in kept)


# -- the race -----------------------------------------------------------------------------------


def upright(x):
    """Balances the pole: pushes to the side where it falls."""
    return ((x[:, 2] + 0.5 * x[:, 3] + 0.01 * x[:, 0] + 0.02 * x[:, 1]) > 0).long()


def falling(x):
    return torch.zeros(len(x), dtype=torch.int64)


def entrant(name, peer, when, seconds=0.0, lapse=None):
    """Takes 1,000 steps at a time; plays well after so many, but for one lapse."""

    def run(seed, referee):
        referee.clock.go()
        for steps in range(0, 15_001, 1000):
            referee.clock.wall += seconds
            referee(steps, upright if steps >= when and steps != lapse else falling)

    return decision.Entrant(name, peer, run)


def test_the_referee_ends_a_training_at_the_third_pause_in_a_row_that_is_good_enough():
    """Pauses are at 3,000, the first at or beyond 2,048, then at 5,000, 7,000, 9,000, ..."""
    assert entrant("ours", "", 0).train(0).steps == 7000
    assert entrant("ours", "", 4000).train(0).steps == 9000
    assert entrant("ours", "", 0, lapse=5000).train(0).steps == 11_000
    result = entrant("ours", "", 20_000).train(0)
    assert not result.reached
    assert result.steps == 15_000  # the last pause within the budget


def test_the_score_is_of_other_episodes_than_those_that_judge():
    result = entrant("ours", "", 0).train(0)
    assert result.score > 475
    assert 3 * 100 * 475 < result.validated <= 3 * 100 * 500
    referee = decision.Referee(seed=0)
    referee.play(upright)
    judged, others = referee.environment.reset(), referee._others.reset()
    assert not (set(map(tuple, judged.tolist())) & set(map(tuple, others.tolist())))


def test_the_referee_plays_the_same_episodes_and_stops_the_clock():
    referee = decision.Referee(seed=0)
    assert referee.play(upright) == referee.play(upright) > 475
    assert 8 < referee.play(falling) < 11
    referee.clock.go()
    referee.clock.halt()
    before = referee.clock.wall
    referee.play(upright)
    assert referee.clock.wall == before


def test_a_race_gives_medians_and_marks_who_fell_short(capsys):
    entrants = [
        entrant("our agent", "", 0, seconds=1.0),
        entrant("theirs", "torch", 4000, seconds=2.0),
        entrant("never", "torch", 20_000, seconds=2.0),
    ]
    one, other = decision.race(entrants, seeds=2)
    assert one.peer == other.peer == "torch"
    assert one.ours_ms == pytest.approx(8000, abs=200)  # pauses at 0, 1000, ... 7000
    assert one.peer_ms == pytest.approx(20_000, abs=200)
    assert one.ratio == pytest.approx(2.5, abs=0.2)
    assert ">=" not in one.case
    assert other.case.endswith("(peer >=)")
    printed = capsys.readouterr().out
    assert printed.count("of validation") == 6
    assert printed.count(">=") == 2


def test_ours_learn_through_the_trainer_and_tell_the_referee():
    result = decision.ours("pqn", budget="8000steps").train(0, goal=20.0)
    assert result.reached
    assert result.steps % 2048 == 0
    assert 0 < result.wall < 60
    short = decision.ours("pqn", budget="5000steps").train(0, goal=501.0)
    assert not short.reached
    assert short.steps == 6144  # whole cycles


def test_the_peers_learn_and_tell_the_referee():
    if not installed(sb3.PEER):
        pytest.skip("the peer is not installed")
    settings = {**sb3.PPO_ZOO, "n_epochs": 1}
    result = decision.zoo("ppo", 8, settings, 2304).train(0, goal=501.0)
    assert not result.reached
    assert result.steps == 2048
    held = 2048 * decision.HELD + 256
    assert decision.zoo("ppo", 8, settings, held).train(0, goal=5.0).reached


def test_races_have_an_entrant_for_each_installed_peer():
    policies, values = decision.races(decision.QUICK, deep_agents.Threads())
    assert [e.name for e in policies if not e.peer] == ["our ppo"]
    assert [e.name for e in values if not e.peer] == ["our dqn", "our pqn"]
    everyone = decision.races(decision.Size(), deep_agents.Threads())
    loops = [e.name for group in everyone for e in group if e.peer == "torch"]
    assert len(loops) == (2 if installed("gymnasium") else 0)
