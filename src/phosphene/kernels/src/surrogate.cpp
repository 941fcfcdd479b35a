// PPO's loss for discrete actions, and its gradients by logits and values, row by row:
//
//   log pi = log_softmax(logits),  r = exp(log pi(a) - old),  g = min(r A, clip(r) A)
//   L = mean(-g) + c_v mean(e) - c_e mean(H),  e = (v - G)^2, or the larger of that and the same of
//   v kept within clip_value of what it was
#include <cmath>
#include <cstdint>

#include "vectors.h"

namespace ph {

template <typename T>
struct Surrogate {
    std::int64_t n, actions;
    const T *logits, *value;
    const std::int64_t* action;
    const T *old, *advantage, *target, *before;
    T clip, clip_value, c_value, c_entropy;
    T *by_logits, *by_value, *sums;  // (n, A), (n), and 5 means
};

template <typename T>
int surrogate(const Surrogate<T>& s) {
    double policy = 0, error = 0, entropy = 0, kl = 0, clipped = 0;
    const T scale = T(1) / static_cast<T>(s.n);
    for (std::int64_t i = 0; i < s.n; i++) {
        const T* l = s.logits + i * s.actions;
        T* d = s.by_logits + i * s.actions;
        if (s.action[i] < 0 || s.action[i] >= s.actions) return 1;
        T most = l[0];
        for (std::int64_t k = 1; k < s.actions; k++) most = l[k] > most ? l[k] : most;
        T sum = 0;
        for (std::int64_t k = 0; k < s.actions; k++) sum += d[k] = std::exp(l[k] - most);
        const T log_sum = std::log(sum);
        T h = 0;
        for (std::int64_t k = 0; k < s.actions; k++) {
            d[k] /= sum;
            h -= d[k] * (l[k] - most - log_sum);
        }
        const T log_ratio = l[s.action[i]] - most - log_sum - s.old[i];
        const T ratio = std::exp(log_ratio), a = s.advantage[i];
        const T low = T(1) - s.clip, high = T(1) + s.clip;
        const T kept = ratio < low ? low : ratio > high ? high : ratio;
        const bool free = ratio * a <= kept * a;
        policy -= free ? ratio * a : kept * a;
        // Where both are equal the ratio lies within the range, and torch halves and adds.
        const T push = free ? -scale * ratio * a : T(0);
        for (std::int64_t k = 0; k < s.actions; k++) {
            const T p = d[k], log_p = l[k] - most - log_sum;
            const T chosen = k == s.action[i] ? T(1) : T(0);
            d[k] = push * (chosen - p) + s.c_entropy * scale * p * (log_p + h);
        }
        const T off = s.value[i] - s.target[i];
        T e = off * off, slope = T(2) * off;
        if (s.clip_value >= T(0)) {
            const T step = s.value[i] - s.before[i];
            const bool out = step < -s.clip_value || step > s.clip_value;
            const T held = s.before[i] + (step < 0 ? -s.clip_value : s.clip_value) - s.target[i];
            if (out && held * held > e) {
                e = held * held;
                slope = T(0);
            }
        }
        s.by_value[i] = s.c_value * scale * slope;
        error += e;
        entropy += h;
        kl += ratio - T(1) - log_ratio;
        clipped += std::abs(ratio - T(1)) > s.clip;
    }
    const double sums[] = {policy, error, entropy, kl, clipped};
    for (int k = 0; k < 5; k++) s.sums[k] = static_cast<T>(sums[k] / static_cast<double>(s.n));
    return 0;
}

}  // namespace ph

#define PH_SURROGATE(T, NAME)                                                                    \
    PH_API int NAME(                                                                             \
        std::int64_t n, std::int64_t actions, const T* logits, const T* value,                   \
        const std::int64_t* action, const T* old, const T* advantage, const T* target,           \
        const T* before, double clip, double clip_value, double c_value, double c_entropy,       \
        T* by_logits, T* by_value, T* sums) {                                                    \
        return ph::surrogate<T>(                                                                 \
            {n, actions, logits, value, action, old, advantage, target, before, T(clip),         \
             T(clip_value), T(c_value), T(c_entropy), by_logits, by_value, sums});               \
    }
PH_SURROGATE(float, ph_surrogate_f32)
PH_SURROGATE(double, ph_surrogate_f64)
