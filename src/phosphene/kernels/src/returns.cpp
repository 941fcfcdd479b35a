// Advantages by one backward scan over time (Schulman et al., 2016):
//
//   delta_t = r_t + gamma (1 - terminated_t) V'_t - V_t
//   A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}
#include "vectors.h"

namespace ph {

template <typename T>
int advantages(
    std::int64_t steps, std::int64_t n, const T* reward, const T* value, const T* next,
    const std::uint8_t* terminated, const std::uint8_t* done, T gamma, T lambda, T* out) {
    for (std::int64_t t = steps - 1; t >= 0; t--)
        for (std::int64_t i = 0; i < n; i++) {
            const std::int64_t at = t * n + i;
            const T beyond = t + 1 < steps && !done[at] ? out[at + n] : T(0);
            const T bootstrap = terminated[at] ? T(0) : next[at];
            out[at] = reward[at] + gamma * bootstrap - value[at] + gamma * lambda * beyond;
        }
    return 0;
}

}  // namespace ph

#define PH_ADVANTAGES(T, NAME)                                                               \
    PH_API int NAME(                                                                         \
        std::int64_t steps, std::int64_t n, const T* reward, const T* value, const T* next,  \
        const std::uint8_t* terminated, const std::uint8_t* done, double gamma,              \
        double lambda, T* out) {                                                             \
        return ph::advantages<T>(                                                            \
            steps, n, reward, value, next, terminated, done, T(gamma), T(lambda), out);      \
    }
PH_ADVANTAGES(float, ph_advantages_f32)
PH_ADVANTAGES(double, ph_advantages_f64)
