// One step of n environments in one call: dynamics, limits, new episodes, observations.
//
// The formulas stand, with their sources, in decision/environments/*.py; here they are in the same
// order of operations. Random numbers are a function of (seed, environment, episode, draw).
#include <cmath>
#include <cstdint>
#include <cstring>

#include "vectors.h"

// Products and sums are rounded one by one, as in the reference, so that every build of the
// library goes through the same states.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

namespace ph {
namespace {

constexpr double pi = 3.141592653589793;

struct Environments {  // what stays the same from step to step; kernels/environments.py mirrors it
    std::int64_t kind, n, limit;    // limit: 0 for none
    std::uint64_t seed, first;      // environment i is the (first + i)-th
    double option[4];               // of the dynamics
    double* state;                  // (n, size)
    std::int64_t *clock, *episode;  // (n) steps since the episode began; its number
    void* observation;              // (rows, n, width), as are the others: one row a step
    float* reward;                  // (rows, n)
    std::uint8_t *terminated, *truncated;
    void* next;
};

inline std::uint64_t absorb(std::uint64_t state, std::uint64_t counter) {
    state = (state ^ counter) + 0x9E3779B97F4A7C15u;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
    return state ^ (state >> 31);
}

// Uniform numbers in [0, 1), as a function of a prefix of counters and the number of the draw.
struct Draws {
    std::uint64_t prefix;
    Draws(const Environments& e, std::int64_t i)
        : prefix(absorb(absorb(absorb(0, e.seed), e.first + i), e.episode[i])) {}
    double operator()(std::uint64_t draw) const {
        return static_cast<double>(absorb(prefix, draw) >> 11) * 0x1p-53;
    }
    double between(std::uint64_t draw, double low, double high) const {
        return low + (high - low) * (*this)(draw);
    }
};

inline double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

template <int Choices>
struct Discrete {
    using Action = std::int64_t;
    using Seen = float;
    static bool allowed(Action a) { return a >= 0 && a < Choices; }
    static bool sound(const Environments&, const double*) { return true; }
};

struct Continuous {
    using Action = float;
    using Seen = float;
    static bool allowed(Action a) { return std::isfinite(a); }
    static bool sound(const Environments&, const double*) { return true; }
};

struct CartPole : Discrete<2> {
    static constexpr int size = 4;
    static std::int64_t width(const Environments&) { return 4; }
    static void start(const Environments&, const Draws& draw, double* s) {
        for (int j = 0; j < 4; j++) s[j] = draw.between(j, -0.05, 0.05);
    }
    static void observe(const Environments&, const double* s, float* o) {
        for (int j = 0; j < 4; j++) o[j] = static_cast<float>(s[j]);
    }
    static bool move(const Environments& e, double* s, Action action, double& reward) {
        constexpr double cart = 1.0, pole = 0.1, total = pole + cart, half = 0.5, tau = 0.02;
        constexpr double moment = pole * half, edge = 2.4, lean = 12 * 2 * pi / 360;
        const double force = action == 1 ? 10.0 : -10.0, velocity = s[1], spin = s[3];
        const double cosine = std::cos(s[2]), sine = std::sin(s[2]);
        const double push = (force + moment * (spin * spin) * sine) / total;
        const double angular = (9.8 * sine - cosine * push) /
                               (half * (4.0 / 3.0 - pole * (cosine * cosine) / total));
        const double linear = push - moment * angular * cosine / total;
        s[0] += tau * velocity;
        s[1] += tau * linear;
        s[2] += tau * spin;
        s[3] += tau * angular;
        const bool over = s[0] < -edge || s[0] > edge || s[2] < -lean || s[2] > lean;
        reward = e.option[0] != 0.0 ? (over ? -1.0 : 0.0) : 1.0;
        return over;
    }
};

struct Acrobot : Discrete<3> {
    static constexpr int size = 4;
    static std::int64_t width(const Environments&) { return 6; }
    static void start(const Environments&, const Draws& draw, double* s) {
        for (int j = 0; j < 4; j++) s[j] = draw.between(j, -0.1, 0.1);
    }
    static void observe(const Environments&, const double* s, float* o) {
        o[0] = static_cast<float>(std::cos(s[0])), o[1] = static_cast<float>(std::sin(s[0]));
        o[2] = static_cast<float>(std::cos(s[1])), o[3] = static_cast<float>(std::sin(s[1]));
        o[4] = static_cast<float>(s[2]), o[5] = static_cast<float>(s[3]);
    }
    static void slope(const double* s, double torque, double* d) {
        constexpr double m1 = 1, m2 = 1, l1 = 1, c1 = 0.5, c2 = 0.5, i1 = 1, i2 = 1, g = 9.8;
        const double cosine = std::cos(s[1]), sine = std::sin(s[1]);
        const double d1 =
            m1 * (c1 * c1) + m2 * (l1 * l1 + c2 * c2 + 2 * l1 * c2 * cosine) + i1 + i2;
        const double d2 = m2 * (c2 * c2 + l1 * c2 * cosine) + i2;
        const double phi2 = m2 * c2 * g * std::cos(s[0] + s[1] - pi / 2.0);
        const double phi1 = -m2 * l1 * c2 * (s[3] * s[3]) * sine -
                            2 * m2 * l1 * c2 * s[3] * s[2] * sine +
                            (m1 * c1 + m2 * l1) * g * std::cos(s[0] - pi / 2) + phi2;
        d[0] = s[2];
        d[1] = s[3];
        d[3] = (torque + d2 / d1 * phi1 - m2 * l1 * c2 * (s[2] * s[2]) * sine - phi2) /
               (m2 * (c2 * c2) + i2 - d2 * d2 / d1);
        d[2] = -(d2 * d[3] + phi1) / d1;
    }
    // Further off than a step can lead, angles would turn back for ages.
    static bool sound(const Environments&, const double* s) {
        return std::fabs(s[0]) <= 1e3 && std::fabs(s[1]) <= 1e3 && std::fabs(s[2]) <= 1e3 &&
               std::fabs(s[3]) <= 1e3;
    }
    static double wrap(double x) {
        while (x > pi) x -= 2 * pi;
        while (x < -pi) x += 2 * pi;
        return x;
    }
    static bool move(const Environments&, double* s, Action action, double& reward) {
        constexpr double dt = 0.2, half = dt / 2.0;
        const double torque = static_cast<double>(action - 1);
        double k1[4], k2[4], k3[4], k4[4], y[4];
        slope(s, torque, k1);
        for (int j = 0; j < 4; j++) y[j] = s[j] + half * k1[j];
        slope(y, torque, k2);
        for (int j = 0; j < 4; j++) y[j] = s[j] + half * k2[j];
        slope(y, torque, k3);
        for (int j = 0; j < 4; j++) y[j] = s[j] + dt * k3[j];
        slope(y, torque, k4);
        for (int j = 0; j < 4; j++) s[j] += dt / 6.0 * (k1[j] + 2 * k2[j] + 2 * k3[j] + k4[j]);
        s[0] = wrap(s[0]), s[1] = wrap(s[1]);
        s[2] = clamp(s[2], -4 * pi, 4 * pi), s[3] = clamp(s[3], -9 * pi, 9 * pi);
        const bool over = -std::cos(s[0]) - std::cos(s[1] + s[0]) > 1.0;
        reward = over ? 0.0 : -1.0;
        return over;
    }
};

struct Hill {  // what both mountain cars share
    static constexpr int size = 2;
    static std::int64_t width(const Environments&) { return 2; }
    static void start(const Environments&, const Draws& draw, double* s) {
        s[0] = draw.between(0, -0.6, -0.4), s[1] = 0.0;
    }
    static void observe(const Environments&, const double* s, float* o) {
        o[0] = static_cast<float>(s[0]), o[1] = static_cast<float>(s[1]);
    }
    static bool roll(double* s, double change, double goal, double speed) {
        s[1] = clamp(s[1] + change, -0.07, 0.07);
        s[0] = clamp(s[0] + s[1], -1.2, 0.6);
        if (s[0] == -1.2 && s[1] < 0) s[1] = 0.0;
        return s[0] >= goal && s[1] >= speed;
    }
};

struct MountainCar : Discrete<3>, Hill {
    static bool move(const Environments& e, double* s, Action action, double& reward) {
        const double push = static_cast<double>(action - 1) * 0.001;
        reward = -1.0;
        return roll(s, push + std::cos(3 * s[0]) * -0.0025, 0.5, e.option[0]);
    }
};

struct MountainCarContinuous : Continuous, Hill {
    static bool move(const Environments& e, double* s, Action action, double& reward) {
        const double a = action, force = clamp(a, -1.0, 1.0);
        const bool over =
            roll(s, force * 0.0015 - 0.0025 * std::cos(3 * s[0]), 0.45, e.option[0]);
        reward = (over ? 100.0 : 0.0) - a * a * 0.1;
        return over;
    }
};

struct Pendulum : Continuous {
    static constexpr int size = 2;
    static std::int64_t width(const Environments&) { return 3; }
    static void start(const Environments&, const Draws& draw, double* s) {
        s[0] = draw.between(0, -pi, pi), s[1] = draw.between(1, -1.0, 1.0);
    }
    static void observe(const Environments&, const double* s, float* o) {
        o[0] = static_cast<float>(std::cos(s[0])), o[1] = static_cast<float>(std::sin(s[0]));
        o[2] = static_cast<float>(s[1]);
    }
    static double centered(double angle) {
        double rest = std::fmod(angle + pi, 2 * pi);
        if (rest < 0) rest += 2 * pi;
        return rest - pi;
    }
    static bool move(const Environments& e, double* s, Action action, double& reward) {
        constexpr double dt = 0.05;
        const double u = clamp(action, -2.0, 2.0), g = e.option[0], angle = centered(s[0]);
        reward = -(angle * angle + 0.1 * (s[1] * s[1]) + 0.001 * (u * u));
        s[1] = clamp(s[1] + (3 * g / 2.0 * std::sin(s[0]) + 3.0 * u) * dt, -8.0, 8.0);
        s[0] += s[1] * dt;
        return false;
    }
};

struct Catch : Discrete<3> {
    using Seen = std::uint8_t;
    static constexpr int size = 3;  // the ball's row and column, the paddle's column
    // On the board, after one more step too.
    static bool sound(const Environments& e, const double* s) {
        return s[0] >= 0 && s[0] < e.option[0] - 1 && s[1] >= 0 && s[1] < e.option[1] && s[2] >= 0 &&
               s[2] < e.option[1];
    }
    static std::int64_t rows(const Environments& e) { return static_cast<std::int64_t>(e.option[0]); }
    static std::int64_t columns(const Environments& e) {
        return static_cast<std::int64_t>(e.option[1]);
    }
    static std::int64_t width(const Environments& e) { return rows(e) * columns(e); }
    static void start(const Environments& e, const Draws& draw, double* s) {
        s[0] = 0.0;
        s[1] = std::floor(draw(0) * e.option[1]);
        s[2] = static_cast<double>(columns(e) / 2);
    }
    static void observe(const Environments& e, const double* s, std::uint8_t* o) {
        std::memset(o, 0, static_cast<std::size_t>(width(e)));
        const auto at = [&](double row, double column) {
            return static_cast<std::int64_t>(row) * columns(e) + static_cast<std::int64_t>(column);
        };
        o[at(s[0], s[1])] = 1;
        o[at(e.option[0] - 1, s[2])] = 1;
    }
    static bool move(const Environments& e, double* s, Action action, double& reward) {
        s[2] = clamp(s[2] + static_cast<double>(action - 1), 0.0, e.option[1] - 1);
        s[0] += 1.0;
        const bool over = s[0] == e.option[0] - 1;
        reward = !over ? 0.0 : s[1] == s[2] ? 1.0 : -1.0;
        return over;
    }
};

template <typename E>
int step(const Environments& e, std::int64_t row, const void* actions) {
    using Seen = typename E::Seen;
    const auto* action = static_cast<const typename E::Action*>(actions);
    // All actions are looked at first: a refused step changes nothing.
    for (std::int64_t i = 0; i < e.n; i++)
        if (!E::allowed(action[i])) return static_cast<int>(i + 1);
    for (std::int64_t i = 0; i < e.n; i++)
        if (!E::sound(e, e.state + i * E::size)) return -2;
    const std::int64_t width = E::width(e), start = row * e.n;
    Seen* observation = static_cast<Seen*>(e.observation) + start * width;
    Seen* next = static_cast<Seen*>(e.next) + start * width;
    for (std::int64_t i = 0; i < e.n; i++, observation += width, next += width) {
        double* s = e.state + i * E::size;
        double reward;
        const bool over = E::move(e, s, action[i], reward);
        const bool cut = ++e.clock[i] == e.limit;
        e.reward[start + i] = static_cast<float>(reward);
        e.terminated[start + i] = over;
        e.truncated[start + i] = cut;
        E::observe(e, s, next);
        if (over || cut) {
            e.clock[i] = 0;
            e.episode[i]++;
            E::start(e, Draws(e, i), s);
            E::observe(e, s, observation);
        } else {
            std::memcpy(observation, next, static_cast<std::size_t>(width) * sizeof(Seen));
        }
    }
    return 0;
}

template <typename E>
void reset(const Environments& e, std::int64_t row) {
    using Seen = typename E::Seen;
    Seen* observation = static_cast<Seen*>(e.observation) + row * e.n * E::width(e);
    for (std::int64_t i = 0; i < e.n; i++) {
        e.clock[i] = 0;
        e.episode[i]++;
        E::start(e, Draws(e, i), e.state + i * E::size);
        E::observe(e, e.state + i * E::size, observation + i * E::width(e));
    }
}

template <typename F>
int with_kind(std::int64_t kind, const F& f) {
    switch (kind) {
        case 0: return f(CartPole());
        case 1: return f(Acrobot());
        case 2: return f(MountainCar());
        case 3: return f(MountainCarContinuous());
        case 4: return f(Pendulum());
        case 5: return f(Catch());
        default: return -1;
    }
}

}  // namespace
}  // namespace ph

// 0; or 1 + the number of the first environment whose action is not allowed, and nothing is done;
// or -1 for a kind that is not known, -2 for a state that is none.
PH_API int ph_environments_step_f64(const void* e, std::int64_t row, const void* action) {
    const auto& all = *static_cast<const ph::Environments*>(e);
    return ph::with_kind(all.kind, [&](auto one) {
        return ph::step<decltype(one)>(all, row, action);
    });
}

// Begins a new episode everywhere; writes that row of the observations.
PH_API int ph_environments_reset_f64(const void* e, std::int64_t row) {
    const auto& all = *static_cast<const ph::Environments*>(e);
    return ph::with_kind(all.kind, [&](auto one) {
        ph::reset<decltype(one)>(all, row);
        return 0;
    });
}
