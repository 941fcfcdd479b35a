// Sweeps of dynamic programming over a process whose outcomes lie in rows s * actions + a.
//
//   q(s, a) = r(s, a) + gamma sum_i w_i v(next_i),  v'(s) = max_a q(s, a)  or  q(s, policy(s))
//
// States are cut into blocks by their number alone, and each state's sum is taken in the order of
// its outcomes, so that one thread and many give the same bits.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "parallel.h"
#include "vectors.h"

namespace ph {

struct Process {
    std::int64_t states, actions;
    const std::int64_t* indptr;  // (states * actions + 1)
    const std::int32_t* next;    // of each outcome
    const double* weight;        // its probability, 0 where nothing follows
    const double* rewards;       // (states, actions), of each row
    double gamma;
    const std::int64_t* first = nullptr;  // (states + 1): where rows were left out, each state's

    std::int64_t begin(std::int64_t s) const { return first ? first[s] : s * actions; }
    std::int64_t end(std::int64_t s) const { return first ? first[s + 1] : (s + 1) * actions; }
};

// The least and the greatest of something over states, a number of states or rows, and the
// greatest distance between the best and the worst action of a state.
struct Extent {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    double gap = 0;
    std::int64_t count = 0;
    void add(double x) {
        low = std::min(low, x);
        high = std::max(high, x);
    }
    void add(const Extent& other) {
        low = std::min(low, other.low);
        high = std::max(high, other.high);
        gap = std::max(gap, other.gap);
        count += other.count;
    }
    double size() const { return std::max(std::fabs(low), std::fabs(high)); }
};

PH_INLINE double action_value(const Process& m, std::int64_t row, const double* v) {
    double sum = 0;
    for (std::int64_t i = m.indptr[row], end = m.indptr[row + 1]; i < end; i++)
        sum += m.weight[i] * v[m.next[i]];
    return m.rewards[row] + m.gamma * sum;
}

PH_INLINE double best_value(const Process& m, std::int64_t s, const double* v) {
    const std::int64_t begin = m.begin(s), end = m.end(s);
    double best = action_value(m, begin, v);
    for (std::int64_t row = begin + 1; row < end; row++) {
        const double q = action_value(m, row, v);
        best = q > best ? q : best;
    }
    return best;
}

constexpr std::int64_t block_size = 4096;

// f(s, extent) for every state.
template <typename F>
Extent over_states(std::int64_t states, std::int64_t threads, const F& f) {
    const std::int64_t blocks = (states + block_size - 1) / block_size;
    std::vector<Extent> extents(blocks);
    parallel(blocks, threads, [&](std::int64_t b) {
        Extent extent;  // not the shared one: neighbors would write to one cache line
        const std::int64_t last = std::min(states, (b + 1) * block_size);
        for (std::int64_t s = b * block_size; s < last; s++) f(s, extent);
        extents[b] = extent;
    });
    Extent all;
    for (const Extent& extent : extents) all.add(extent);
    return all;
}

// Some of the rows, side by side: what sweeps read is then read in order.
struct Rows {
    std::vector<std::int64_t> first, indptr;
    std::vector<std::int32_t> next;
    std::vector<double> weight, rewards;

    // Those for which keep(s, row).
    template <typename F>
    Rows(const Process& m, std::int64_t threads, const F& keep)
        : first(m.states + 1), indptr(1) {
        std::vector<std::int64_t> outcomes(m.states + 1);
        over_states(m.states, threads, [&](std::int64_t s, Extent&) {
            for (std::int64_t row = m.begin(s), end = m.end(s); row < end; row++) {
                if (!keep(s, row)) continue;
                first[s + 1]++;
                outcomes[s + 1] += m.indptr[row + 1] - m.indptr[row];
            }
        });
        for (std::int64_t s = 0; s < m.states; s++) {
            first[s + 1] += first[s];
            outcomes[s + 1] += outcomes[s];
        }
        indptr.resize(first[m.states] + 1);
        rewards.resize(first[m.states]);
        next.resize(outcomes[m.states]);
        weight.resize(outcomes[m.states]);
        over_states(m.states, threads, [&](std::int64_t s, Extent&) {
            std::int64_t to = first[s], at = outcomes[s];
            for (std::int64_t row = m.begin(s), end = m.end(s); row < end; row++) {
                if (!keep(s, row)) continue;
                const std::int64_t from = m.indptr[row], count = m.indptr[row + 1] - from;
                std::copy_n(m.next + from, count, next.data() + at);
                std::copy_n(m.weight + from, count, weight.data() + at);
                rewards[to] = m.rewards[row];
                indptr[++to] = at += count;
            }
        });
    }

    Process process(const Process& m) const {
        return {m.states,      m.actions,      indptr.data(), next.data(),
                weight.data(), rewards.data(), m.gamma,       first.data()};
    }
};

// A sweep that also marks the rows whose values are below the best of their state by more than
// `margin`; the extent's count is of those that are not marked.
Extent sweep_and_mark(
    const Process& m, double margin, const double* v, double* out, std::uint8_t* marked,
    std::int64_t threads) {
    const std::int64_t blocks = (m.states + block_size - 1) / block_size;
    const std::int64_t stride = (m.actions + 15) / 8 * 8;
    std::vector<double> scratch(blocks * stride);
    return over_states(m.states, threads, [&](std::int64_t s, Extent& extent) {
        double* const q = scratch.data() + s / block_size * stride;
        const std::int64_t begin = m.begin(s), count = m.end(s) - begin;
        double best = -std::numeric_limits<double>::infinity(), worst = -best;
        for (std::int64_t a = 0; a < count; a++) {
            q[a] = action_value(m, begin + a, v);
            best = q[a] > best ? q[a] : best;
            worst = q[a] < worst ? q[a] : worst;
        }
        extent.gap = std::max(extent.gap, best - worst);
        for (std::int64_t a = 0; a < count; a++) {
            marked[begin + a] = best - q[a] > margin;
            extent.count += !marked[begin + a];
        }
        out[s] = best;
        extent.add(best - v[s]);
    });
}

Extent sweep(
    const Process& m, const std::int64_t* policy, const double* v, double* out,
    std::int64_t threads) {
    if (policy != nullptr)
        return over_states(m.states, threads, [&](std::int64_t s, Extent& extent) {
            out[s] = action_value(m, s * m.actions + policy[s], v);
            extent.add(out[s] - v[s]);
        });
    return over_states(m.states, threads, [&](std::int64_t s, Extent& extent) {
        out[s] = best_value(m, s, v);
        extent.add(out[s] - v[s]);
    });
}

void report(double* stats, std::int64_t done, const Extent& extent) {
    stats[0] = double(done);
    stats[1] = extent.low;
    stats[2] = extent.high;
    stats[3] = double(extent.count);
}

}  // namespace ph

#define PH_PROCESS                                                                             \
    std::int64_t states, std::int64_t actions, const std::int64_t *indptr,                     \
        const std::int32_t *next, const double *weight, const double *rewards, double gamma

// Up to `count` sweeps that use the old values only; v is changed in place. They stop when half of
// factor * (high - low) is at most `tolerance`, the bounds low and high of the last change being
// stretched to hold 0 where episodes end. changes (count): the sup-norm of each sweep's change.
//
// With `carried` above 0, actions that the bounds prove not to be optimal are left out (MacQueen,
// 1967): V* lies between V + factor low and V + factor high, so that an action whose value is below
// the best by more than carried * factor * (high - low) can be the best neither at V* nor at any V
// that a later sweep meets. The values are the same to the last bit.
PH_API int ph_dp_sweeps_f64(
    PH_PROCESS, const std::int64_t* policy, std::int64_t count, double tolerance, double factor,
    double carried, std::int64_t ends, std::int64_t threads, double* v, double* changes,
    double* stats) try {
    ph::Process m{states, actions, indptr, next, weight, rewards, gamma};
    std::unique_ptr<ph::Rows> rows;
    std::vector<std::uint8_t> marked;
    std::vector<double> scratch(states);
    double *from = v, *to = scratch.data();
    ph::Extent extent;
    std::int64_t done = 0, live = states * actions;
    double largest = 0, gap = -1, width = std::numeric_limits<double>::infinity();
    double last_margin = width;
    for (std::int64_t s = 0; s < states; s++) largest = std::max(largest, std::fabs(v[s]));
    while (done < count) {
        // Copying costs about a sweep; the sums are the same, in the same order.
        if (done == 1 && policy != nullptr && count > 2) {
            rows = std::make_unique<ph::Rows>(m, threads, [&](std::int64_t s, std::int64_t row) {
                return row == s * actions + policy[s];
            });
            m = rows->process(m);
            policy = nullptr;
            live = states;
        }
        // Not finer than rounding: a tie is not decided.
        const double margin = carried * factor * width + 1e-12 * largest;
        // Once at first, to see what margin can tell actions apart.
        const bool telling = gap < 0 || (2 * margin <= last_margin && 4 * margin <= gap);
        if (carried > 0 && policy == nullptr && live > states && telling) {
            marked.resize(live);
            extent = ph::sweep_and_mark(m, margin, from, to, marked.data(), threads);
            gap = gap < 0 ? extent.gap : gap;
            last_margin = margin;
            if (extent.count < 0.6 * live) {
                auto fewer = std::make_unique<ph::Rows>(
                    m, threads, [&](std::int64_t, std::int64_t row) { return !marked[row]; });
                m = fewer->process(m);
                rows = std::move(fewer);
                live = extent.count;
            }
        } else {
            extent = ph::sweep(m, policy, from, to, threads);
        }
        std::swap(from, to);
        changes[done++] = extent.size();
        largest += extent.size();
        if (!std::isfinite(extent.size())) break;  // nothing will come of it
        const double low = ends ? std::min(extent.low, 0.0) : extent.low;
        const double high = ends ? std::max(extent.high, 0.0) : extent.high;
        width = high - low;
        if (0.5 * factor * width <= tolerance) break;
    }
    if (from != v) std::memcpy(v, from, states * sizeof(double));
    ph::report(stats, done, extent);
    return 0;
} catch (const std::bad_alloc&) {
    return 2;
}

// Up to `count` sweeps that use each new value at once, down and up the states in turns, the first
// down where `first` is even. They stop when no value changes by more than `least`.
PH_API int ph_dp_gauss_seidel_f64(
    PH_PROCESS, std::int64_t first, std::int64_t count, double least, double* v, double* changes,
    double* stats) {
    const ph::Process m{states, actions, indptr, next, weight, rewards, gamma};
    ph::Extent extent;
    std::int64_t done = 0;
    while (done < count) {
        const bool down = (first + done) % 2 == 0;
        extent = ph::Extent();
        for (std::int64_t i = 0; i < states; i++) {
            const std::int64_t s = down ? i : states - 1 - i;
            const double value = ph::best_value(m, s, v);
            extent.add(value - v[s]);
            v[s] = value;
        }
        changes[done++] = extent.size();
        if (changes[done - 1] <= least || !std::isfinite(changes[done - 1])) break;
    }
    ph::report(stats, done, extent);
    return 0;
}

// One sweep that also chooses: an action whose value is within `slack` of the best, the one that
// policy already names if it is such a one (-1: none), else the first. q (states, actions) and
// values (states) may be null. The extent is of the change, the count of changed actions.
PH_API int ph_dp_greedy_f64(
    PH_PROCESS, double slack, std::int64_t threads, const double* v, double* q, double* values,
    std::int64_t* policy, double* stats) try {
    const ph::Process m{states, actions, indptr, next, weight, rewards, gamma};
    const auto choose = [&](std::int64_t s, ph::Extent& extent, double* mine) {
        for (std::int64_t a = 0; a < actions; a++)
            mine[a] = ph::action_value(m, s * actions + a, v);
        const double best = *std::max_element(mine, mine + actions);
        const std::int64_t old = policy[s];
        if (old < 0 || !(mine[old] >= best - slack)) {
            std::int64_t a = 0;
            while (a < actions - 1 && !(mine[a] >= best - slack)) a++;
            policy[s] = a;
            extent.count++;
        }
        if (values != nullptr) values[s] = best;
        extent.add(best - v[s]);
    };
    // Scratch for each block, at its own cache lines: another thread is at the next block.
    const std::int64_t blocks = (states + ph::block_size - 1) / ph::block_size;
    const std::int64_t stride = (actions + 15) / 8 * 8;
    std::vector<double> scratch(q == nullptr ? blocks * stride : 0);
    const ph::Extent extent =
        ph::over_states(states, threads, [&](std::int64_t s, ph::Extent& e) {
            choose(s, e, q ? q + s * actions : scratch.data() + s / ph::block_size * stride);
        });
    ph::report(stats, 1, extent);
    return 0;
} catch (const std::bad_alloc&) {
    return 2;
}

// What a process must satisfy, in one pass: stats get the least and the greatest probability, the
// least and the greatest next state, and the greatest distance of a row's sum from 1. Not-a-number
// makes that distance infinite.
PH_API int ph_dp_check_f64(
    std::int64_t states, std::int64_t actions, std::int64_t outcomes, const std::int64_t* indptr,
    const std::int32_t* next, const double* probability, std::int64_t threads,
    double* stats) try {
    for (std::int64_t row = 0, before = 0; row <= states * actions; row++) {
        const bool last = row == states * actions;
        if (indptr[row] < before || (row == 0 ? indptr[0] != 0 : last && indptr[row] != outcomes))
            return 1;
        before = indptr[row];
    }
    const std::int64_t blocks = (states + ph::block_size - 1) / ph::block_size;
    std::vector<ph::Extent> all_p(blocks), all_next(blocks), all_off(blocks);
    ph::parallel(blocks, threads, [&](std::int64_t b) {
        ph::Extent p, off;
        std::int32_t low = std::numeric_limits<std::int32_t>::max(), high = -1;
        const std::int64_t last = std::min(states, (b + 1) * ph::block_size) * actions;
        for (std::int64_t row = b * ph::block_size * actions; row < last; row++) {
            double sum = 0;
            for (std::int64_t i = indptr[row]; i < indptr[row + 1]; i++) {
                p.add(probability[i]);
                sum += probability[i];
                low = std::min(low, next[i]);
                high = std::max(high, next[i]);
            }
            const double distance = std::fabs(sum - 1.0);
            off.add(distance == distance ? distance : std::numeric_limits<double>::infinity());
        }
        all_p[b] = p;
        all_off[b] = off;
        all_next[b].add(low);
        all_next[b].add(high);
    });
    ph::Extent p, after, off;
    for (std::int64_t b = 0; b < blocks; b++) {
        p.add(all_p[b]);
        after.add(all_next[b]);
        off.add(all_off[b]);
    }
    stats[0] = p.low;
    stats[1] = p.high;
    stats[2] = after.low;
    stats[3] = after.high;
    stats[4] = off.high;
    return 0;
} catch (const std::bad_alloc&) {
    return 2;
}
