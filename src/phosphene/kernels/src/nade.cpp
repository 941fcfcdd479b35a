// Ancestral sampling of NADE by running activations: O(H D) for one example.
//
//   a_1 = c,  h_k = f(a_k),  p(x_k = 1) = sigmoid(b_k + V_k h_k),  a_{k+1} = a_k + W_k x_k
#include <vector>

#include "choose.h"
#include "rows.h"

namespace ph {

template <typename T>
struct Nade {
    std::int64_t n, dimensions, hidden;
    const T *w, *v;              // (D, H) each, in the order of generation
    const T* b;                  // (D), or (n, D) if b_rows
    const T* c;                  // (H), or (n, H) if c_rows
    std::int64_t b_rows, c_rows;  // the distance between rows: 0 or D, 0 or H
    const T* u;                  // (n, D) uniform numbers
    const std::uint8_t* known;   // (n, D), or null: where x is given
    T temperature;
    T* x;                        // (n, D): given values go in, all values come out
};

template <typename T, int R, Activation A>
void sample_block(const Nade<T>& m, std::int64_t first, std::int64_t count) {
    constexpr int S = Vector<T>::size;
    const std::int64_t H = m.hidden, D = m.dimensions;
    // One row is padded to whole registers along its units; many rows are one to a lane.
    const std::int64_t units = R == 1 ? (H + S - 1) / S * S : H;
    std::vector<T> a(units * R, T(0)), w(units, T(0)), v(units, T(0)), x(R, T(0));
    for (std::int64_t r = 0; r < count; r++)
        for (std::int64_t j = 0; j < H; j++) a[j * R + r] = m.c[(first + r) * m.c_rows + j];
    for (std::int64_t k = 0; k < D; k++) {
        T logit[R];
        const T* wk = m.w + (k - 1) * H;  // pushes x_{k-1}; not read at k = 0
        const T* vk = m.v + k * H;
        if constexpr (R == 1) {
            if (k > 0) std::memcpy(w.data(), wk, H * sizeof(T));
            std::memcpy(v.data(), vk, H * sizeof(T));
            vec<T> sum = all<T>(0);
            for (std::int64_t j = 0; j < units; j += S) {
                vec<T> aj = load(&a[j]);
                if (k > 0) store(&a[j], aj += x[0] * load(&w[j]));
                sum += load(&v[j]) * activate<T, A>(aj);
            }
            logit[0] = total<T>(sum);
        } else {
            constexpr int V = R / S;
            vec<T> sum[V];
            for (int i = 0; i < V; i++) sum[i] = all<T>(0);
            for (std::int64_t j = 0; j < H; j++) {
                const T wkj = k > 0 ? wk[j] : T(0), vkj = vk[j];
                for (int i = 0; i < V; i++) {
                    vec<T> aj = load(&a[j * R + i * S]);
                    aj += wkj * load(&x[i * S]);
                    store(&a[j * R + i * S], aj);
                    sum[i] += vkj * activate<T, A>(aj);
                }
            }
            for (int i = 0; i < V; i++) store(logit + i * S, sum[i]);
        }
        for (std::int64_t r = 0; r < count; r++) {
            const std::int64_t at = (first + r) * D + k;
            if (m.known == nullptr || !m.known[at])
                m.x[at] = bernoulli<T>(
                    logit[r] + m.b[(first + r) * m.b_rows + k], m.u[at], m.temperature);
            x[r] = m.x[at];
        }
    }
}

template <typename T>
int sample_nade(const Nade<T>& m, std::int64_t activation, std::int64_t threads) {
    bool fine = false;
    const bool named = with_activation(activation, [&](auto f) {
        const auto block = [&](auto rows, std::int64_t first, std::int64_t count) {
            sample_block<T, decltype(rows)::value, decltype(f)::value>(m, first, count);
        };
        fine = in_blocks<T>(m.n, threads, block);
    });
    return named ? (fine ? 0 : 2) : 1;
}

}  // namespace ph

#define PH_NADE(T, NAME)                                                                       \
    PH_API int NAME(                                                                           \
        std::int64_t n, std::int64_t dimensions, std::int64_t hidden, const T* w, const T* v,  \
        const T* b, const T* c, std::int64_t b_rows, std::int64_t c_rows, const T* u,          \
        const std::uint8_t* known, double temperature, std::int64_t activation,                \
        std::int64_t threads, T* x) {                                                          \
        const ph::Nade<T> model{n,      dimensions, hidden, w, v,     b, c,                    \
                                b_rows, c_rows,     u,      known, T(temperature), x};         \
        return ph::sample_nade<T>(model, activation, threads);                                 \
    }
PH_NADE(float, ph_nade_f32)
PH_NADE(double, ph_nade_f64)
