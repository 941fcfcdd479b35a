// The loss of temporal differences and its gradient by Q, in one pass over the rows:
//
//   y = r + g V,  V = value, or value[argmax of chooser]
//   e = y - q[action],  loss = mean of w h(e),  dq[action] = -w h'(e) / n
//
// with h(e) = e^2, or Huber's function of threshold 1.
#include <cmath>

#include "vectors.h"

namespace ph {

template <typename T>
int td_error(
    std::int64_t n, std::int64_t actions, const T* q, const std::int64_t* action, const T* reward,
    const T* discount, const T* weight, const T* value, const T* chooser, bool huber, T* dq,
    T* error, T* taken, T* loss) {
    double total = 0;
    for (std::int64_t i = 0; i < n; i++) {
        const std::int64_t a = action[i];
        if (a < 0 || a >= actions) return 1;
        T ahead = 0;
        if (chooser) {
            const T* row = chooser + i * actions;
            std::int64_t best = 0;
            for (std::int64_t j = 1; j < actions; j++)
                if (row[j] > row[best]) best = j;
            ahead = value[i * actions + best];
        } else {
            ahead = value[i];
        }
        const T e = reward[i] + discount[i] * ahead - q[i * actions + a];
        const T w = weight ? weight[i] : T(1), size = std::fabs(e);
        const bool linear = huber && !(size < 1);
        const T h = huber ? (linear ? size - T(0.5) : T(0.5) * e * e) : e * e;
        const T slope = huber ? (linear ? std::copysign(T(1), e) : e) : 2 * e;
        total += static_cast<double>(w * h);
        for (std::int64_t j = 0; j < actions; j++) dq[i * actions + j] = 0;
        // 0 * e keeps an error that is no number one, as copysign would not.
        dq[i * actions + a] = -w * (slope + 0 * e) / static_cast<T>(n);
        error[i] = e;
        taken[i] = q[i * actions + a];
    }
    *loss = static_cast<T>(total / static_cast<double>(n));
    return 0;
}

}  // namespace ph

#define PH_TD_ERROR(T, NAME)                                                                      \
    PH_API int NAME(                                                                              \
        std::int64_t n, std::int64_t actions, const T* q, const std::int64_t* action,             \
        const T* reward, const T* discount, const T* weight, const T* value, const T* chooser,    \
        std::int64_t huber, T* dq, T* error, T* taken, T* loss) {                                 \
        return ph::td_error<T>(                                                                   \
            n, actions, q, action, reward, discount, weight, value, chooser, huber != 0, dq,      \
            error, taken, loss);                                                                  \
    }
PH_TD_ERROR(float, ph_td_error_f32)
PH_TD_ERROR(double, ph_td_error_f64)
