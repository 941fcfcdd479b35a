// Learning in a table from one step after another of a finite Markov decision process.
//
// kernels/tabular.py says what each method does, in the same words and in the same order: both give
// the same bits. Every random number is a function of a key, the number of the step and what it is
// for, so that nothing depends on where a run was cut.
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "vectors.h"

// A product and a sum must stay two roundings, as they are in Python.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

namespace ph {
namespace tabular {

using i64 = std::int64_t;
using u64 = std::uint64_t;

enum Slot { START, EXPLORE, PICK, OUTCOME, TABLE, TAIL_EXPLORE, TAIL_PICK };
enum Method { NONE, MONTE_CARLO, SARSA, EXPECTED, Q_LEARNING, DOUBLE, N_STEP };
enum Exploration { EPSILON, SOFTMAX, POLICY };
enum Unit { BY_STEP, BY_EPISODE, BY_VISIT };
enum Kind { CONSTANT, LINEAR, EXPONENTIAL, HARMONIC };

constexpr double FAINT = 1e-100;  // a trace below this is none

// SplitMix64 (Steele, Lea and Flood, 2014) as a function of its counter.
inline double uniform(u64 key, i64 step, int slot) {
    u64 x = key + (u64(step) * 8 + u64(slot) + 1) * 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return double((x ^ (x >> 31)) >> 11) * 0x1.0p-53;
}

// The first of n cumulated probabilities that passes u; the last is 1.
inline i64 first_above(const double* cumulative, i64 n, double u) {
    if (n <= 8) {
        i64 k = 0;
        while (k < n - 1 && !(cumulative[k] > u)) k++;
        return k;
    }
    i64 low = 0, high = n - 1;
    while (low < high) {
        const i64 middle = (low + high) / 2;
        if (cumulative[middle] > u) high = middle;
        else low = middle + 1;
    }
    return low;
}

struct Schedule {
    i64 kind, unit;
    double a, b, c;

    double at(i64 step, i64 episode, i64 visit) const {
        if (kind == CONSTANT) return a;
        const double t = double(unit == BY_STEP ? step : unit == BY_EPISODE ? episode : visit);
        if (kind == LINEAR) return t >= c ? b : a + (b - a) * (t / c);
        if (kind == EXPONENTIAL) {
            const double value = a * std::pow(c, t);
            return value > b ? value : b;
        }
        const double value = a / (a + t);
        return b == 1 ? value : std::pow(value, b);
    }
};

// What one step met; ``how`` is 1 where the episode ended, 2 where it was cut off.
struct Transition {
    i64 state, action, next, how;
    double reward;
};

struct Run {
    // The process: outcomes of row s A + a are indptr[row] .. indptr[row + 1].
    i64 outcomes;
    const i64* indptr;
    const std::int32_t* next;
    const double* cumulative;  // within a row
    const double* reward;
    const std::uint8_t* ends;  // nothing can be earned after it
    const double* start;       // (S) cumulated
    const double* policy;      // (2, S, A): cumulated, and the probabilities; or null
    // What is learned and how.
    i64 states, actions, width, method, exploration, first_tie, n, first_visit, replacing, offline,
        limit, history;
    u64 key;
    double gamma, lambda;
    Schedule alpha, epsilon;  // epsilon, or the temperature
    // How far it has come.
    i64 state, action, clock, episode, steps, active, fresh;
    double score;
    double* table;  // (S, width), or two of them
    i64* visits;
    double *trace, *pending;
    i64 *live, *seen;
    i64* keys;  // the last transitions
    double* rewards;
    std::uint8_t* firsts;
    i64 capacity;
    double* returns;
    i64* lengths;
    std::vector<double> weights;
    bool fine = true;  // until an index leads nowhere; nothing is read or written there

    // What was saved may say anything: where all begins must be within the tables.
    bool sound(i64 todo) const {
        const i64 entries = states * width, kept = method == N_STEP ? capacity : clock;
        const bool traced = method == SARSA && (lambda > 0 || offline);
        if (state < 0 || state >= states || action < -1 || action >= actions || clock < 0 ||
            episode < 0 || steps < 0 || fresh < 0 || fresh > 1 || active < 0 || active > (traced ? entries : 0))
            return false;
        if (method == MONTE_CARLO && (clock > capacity || todo > capacity - clock)) return false;
        for (i64 j = 0; j < active; j++)
            if (live[j] < 0 || live[j] >= entries) return false;
        for (i64 j = 0; (method == MONTE_CARLO || method == N_STEP) && j < kept; j++)
            if (keys[j] < 0 || keys[j] >= entries) return false;
        return true;
    }

    i64 entry(i64 s, i64 a) const { return width == 1 ? s : s * actions + a; }

    double liking(i64 i) const {
        return method == DOUBLE ? table[i] + table[states * actions + i] : table[i];
    }

    // The best of a row of a table; among equals by u, or the first.
    template <typename F>
    i64 best(F value, double u) const {
        double most = value(0);
        i64 count = 1, where = 0;
        for (i64 a = 1; a < actions; a++) {
            const double v = value(a);
            if (v > most) most = v, count = 1, where = a;
            else if (v == most) count++;
        }
        if (count == 1 || first_tie) return where;
        i64 left = i64(u * double(count));
        for (i64 a = where; a < actions; a++)
            if (value(a) == most && left-- == 0) return a;
        return where;
    }

    // exp((Q - max Q) / temperature) into weights; their sum.
    double boltzmann(i64 s, i64 step) {
        const i64 row = s * actions;
        const double temperature = epsilon.at(step, episode, 0);
        double most = liking(row), sum = 0;
        for (i64 a = 1; a < actions; a++)
            if (liking(row + a) > most) most = liking(row + a);
        for (i64 a = 0; a < actions; a++)
            sum += weights[a] = std::exp((liking(row + a) - most) / temperature);
        return sum;
    }

    i64 choose(i64 s, i64 step, int shift) {
        const double u = uniform(key, step, EXPLORE + shift);
        const i64 row = s * actions;
        if (exploration == POLICY) return first_above(policy + row, actions, u);
        if (exploration == SOFTMAX) {
            const double mark = u * boltzmann(s, step);
            double sum = 0;
            for (i64 a = 0; a < actions - 1; a++)
                if ((sum += weights[a]) > mark) return a;
            return actions - 1;
        }
        const double pick = uniform(key, step, PICK + shift);
        if (u < epsilon.at(step, episode, 0)) return i64(pick * double(actions));
        return best([&](i64 a) { return liking(row + a); }, pick);
    }

    // E Q(s, A) under what is followed.
    double expectation(i64 s, i64 step) {
        const double* q = table + s * actions;
        double sum = 0;
        if (exploration == POLICY) {
            const double* p = policy + states * actions + s * actions;
            for (i64 a = 0; a < actions; a++) sum += p[a] * q[a];
            return sum;
        }
        if (exploration == SOFTMAX) {
            const double total = boltzmann(s, step);
            for (i64 a = 0; a < actions; a++) sum += weights[a] * q[a];
            return sum / total;
        }
        double most = q[0];
        for (i64 a = 0; a < actions; a++) {
            sum += q[a];
            if (q[a] > most) most = q[a];
        }
        const double e = epsilon.at(step, episode, 0);
        return (1 - e) * most + e * (sum / double(actions));
    }

    void learn(i64 k, double target) {
        const i64 visit = visits[k]++;
        table[k] += alpha.at(steps, episode, visit) * (target - table[k]);
    }

    void by_traces(i64 k, double target, bool done) {
        const double delta = target - table[k];
        visits[k]++;
        if (trace[k] == 0) {
            if (active == states * width) return void(fine = false);  // some entry is there twice
            live[active++] = k;
        }
        trace[k] = replacing ? 1.0 : trace[k] + 1;
        for (i64 j = 0; j < active;) {
            const i64 i = live[j];
            const double change = alpha.at(steps, episode, visits[i] - 1) * delta * trace[i];
            (offline ? pending : table)[i] += change;
            trace[i] *= gamma * lambda;
            if (trace[i] < FAINT || done) trace[i] = 0;
            if (trace[i] == 0) live[j] = live[--active];
            else j++;
        }
        if (!done || !offline) return;
        for (i64 i = 0; i < states * width; i++) table[i] += pending[i], pending[i] = 0;
    }

    // sum of gamma^(i - from) r_i up to the newest, and the tail beyond it.
    double n_step_return(i64 from, bool ended, double tail) const {
        double g = ended ? 0 : tail;
        for (i64 i = clock; i >= from; i--) {
            const double r = rewards[i % capacity];
            g = ended && i == clock ? r : r + gamma * g;
        }
        return g;
    }

    void by_n_steps(bool ended, bool cut, double tail) {
        const i64 taken = clock + 1;
        i64 from = taken - n;
        const i64 last = ended || cut ? clock : from;
        for (from = from < 0 ? 0 : from; from <= last; from++)
            learn(keys[from % capacity], n_step_return(from, ended, tail));
    }

    void by_returns(bool ended, double tail) {
        double g = tail;
        for (i64 i = clock; i >= 0; i--) {
            g = ended && i == clock ? rewards[i] : rewards[i] + gamma * g;
            if (!first_visit || firsts[i]) learn(keys[i], g);
        }
    }

    // Q(s, a) of the next pair on the policy; the action is taken unless the episode is cut off.
    double follow(i64 s, bool cut) {
        const i64 a = choose(s, steps + 1, cut ? TAIL_EXPLORE - EXPLORE : 0);
        if (!cut) action = a;
        return table[entry(s, a)];
    }

    double beyond(i64 s) {
        const double* q = table + s * actions;
        if (method == EXPECTED) return expectation(s, steps + 1);
        double most = q[0];
        for (i64 a = 1; a < actions; a++)
            if (q[a] > most) most = q[a];
        return most;
    }

    void learn_double(i64 k, i64 s, double r, bool ended) {
        const i64 size = states * actions;
        const i64 own = uniform(key, steps, TABLE) < 0.5 ? 0 : size;
        double target = r;
        if (!ended) {
            const double* q = table + own + s * actions;
            const i64 a = best([&](i64 i) { return q[i]; }, uniform(key, steps, TAIL_PICK));
            target = r + gamma * table[size - own + s * actions + a];
        }
        learn(own + k, target);
    }

    void remember(i64 k, double r) {
        keys[clock % capacity] = k, rewards[clock % capacity] = r;
        if (method != MONTE_CARLO) return;
        firsts[clock] = seen[k] != episode + 1;
        seen[k] = episode + 1;
    }

    void update(i64 s, i64 a, double r, i64 s2, bool ended, bool cut) {
        const i64 k = entry(s, a);
        const bool on_policy = method == SARSA || method == N_STEP;
        const bool needs = on_policy || (method == MONTE_CARLO && cut);
        const double tail = needs && !ended ? follow(s2, cut) : 0;
        if (method == NONE) return;
        if (method == DOUBLE) return learn_double(k, s2, r, ended);
        if (method == MONTE_CARLO || method == N_STEP) {
            remember(k, r);
            if (method == N_STEP) by_n_steps(ended, cut, tail);
            else if (ended || cut) by_returns(ended, tail);
            return;
        }
        const double value = ended ? 0 : method == SARSA ? tail : beyond(s2);
        const double target = ended ? r : r + gamma * value;
        if (method == SARSA && (lambda > 0 || offline)) by_traces(k, target, ended || cut);
        else learn(k, target);
    }

    Transition step() {
        if (fresh) {
            state = first_above(start, states, uniform(key, steps, START));
            fresh = clock = 0, action = -1, score = 0;
        }
        const i64 s = state, a = action >= 0 ? action : choose(s, steps, 0);
        action = -1;
        const i64 row = s * actions + a, from = indptr[row], to = indptr[row + 1];
        if (from < 0 || from >= to || to > outcomes) return fine = false, Transition{};
        const i64 k =
            from + first_above(cumulative + from, to - from, uniform(key, steps, OUTCOME));
        if (next[k] < 0 || next[k] >= states) return fine = false, Transition{};
        const bool ended = ends[k], cut = !ended && limit > 0 && clock + 1 >= limit;
        update(s, a, reward[k], next[k], ended, cut);
        state = next[k];
        score += reward[k];
        clock++;
        steps++;
        if (ended || cut) {
            returns[episode % history] = score;
            lengths[episode % history] = clock;
            episode++;
            fresh = 1;
        }
        return {s, a, next[k], ended ? 1 : cut ? 2 : 0, reward[k]};
    }
};

}  // namespace tabular
}  // namespace ph

PH_API int ph_tabular_f64(
    std::int64_t outcomes, const std::int64_t* indptr, const std::int32_t* next,
    const double* cumulative, const double* reward, const std::uint8_t* ends, const double* start, const double* policy,
    const std::int64_t* setting, const double* number, std::int64_t steps, std::int64_t episodes,
    std::int64_t* progress, double* score, double* table, std::int64_t* visits, double* trace,
    double* pending, std::int64_t* live, std::int64_t* seen, std::int64_t* keys, double* rewards,
    std::uint8_t* firsts, std::int64_t capacity, double* returns, std::int64_t* lengths,
    std::int64_t* record, double* record_reward) {
    using namespace ph::tabular;
    const std::int64_t* i = setting;
    const double* f = number;
    std::int64_t* p = progress;
    try {
        Run run{outcomes, indptr, next, cumulative, reward, ends, start, policy,
                i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[8], i[9], i[10], i[11],
                std::uint64_t(i[12]), f[0], f[1],
                {i[13], i[14], f[2], f[3], f[4]}, {i[15], i[16], f[5], f[6], f[7]},
                p[0], p[1], p[2], p[3], p[4], p[5], p[6], *score,
                table, visits, trace, pending, live, seen, keys, rewards, firsts, capacity,
                returns, lengths, std::vector<double>(std::size_t(i[1]))};
        if (!run.sound(steps)) return 1;
        for (std::int64_t done = 0; done < steps && run.episode < episodes; done++) {
            const Transition seen_now = run.step();
            if (!run.fine) return 1;
            if (record == nullptr) continue;
            std::int64_t* row = record + 4 * done;
            row[0] = seen_now.state, row[1] = seen_now.action;
            row[2] = seen_now.next, row[3] = seen_now.how;
            record_reward[done] = seen_now.reward;
        }
        const std::int64_t after[] = {run.state,  run.action, run.clock, run.episode,
                                      run.steps, run.active, run.fresh};
        for (int k = 0; k < 7; k++) p[k] = after[k];
        *score = run.score;
    } catch (const std::bad_alloc&) {
        return 2;
    }
    return 0;
}
