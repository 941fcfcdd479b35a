// Generation from a stack of gated, dilated causal convolutions (WaveNet) by ring buffers.
//
// Layer l keeps its inputs of the last (kernel - 1) d_l steps, so that a step is a few products of
// vectors with matrices, whatever the receptive field. With a = taps of the present and the past:
//
//   z_l = (2 sigmoid(a_1) - 1) sigmoid(a_2),  h_{l+1} = h_l + R_l z_l,
//   logits = O relu(H relu(b + sum_l S_l z_l) + c) + o
//
// (the tanh's half of the taps is doubled: tanh(a) = 2 sigmoid(2 a) - 1). Sums run along the
// outputs, so one row alone fills the vectors; four rows at a time read the weights once.
#include <algorithm>
#include <vector>

#include "choose.h"
#include "rows.h"

namespace ph {

template <typename T>
struct Wavenet {
    std::int64_t n, steps, layers, kernel, channels, skips, levels;
    const std::int64_t* dilations;                  // (L)
    const T *taps, *bias;                           // (L, kernel, C, 2 C); (L, 2 C) or (n, L, 2 C)
    std::int64_t bias_rows;                         // 0, or L 2 C
    const T *residual;                              // (L - 1, C, C)
    const T *skip, *skip_bias;                      // (L C, S), (S)
    const T *hidden, *hidden_bias;                  // (S, S) as y = x W, (S)
    const T *output, *output_bias;                  // (S, levels) as y = x W, (levels)
    const T *table, *start;                         // (levels, C), (C)
    T temperature;
    const T* u;                                     // (n, steps)
    const std::uint8_t* given;                      // (n, steps), or null
    T* x;                                           // (n, steps): given values in, all out
};

// out[r][c] += sum_j input[r][j] weight[j][c] for R rows; rows lie ``out_row`` and ``in_row`` apart.
template <typename T, int R>
void push(
    T* out, std::int64_t out_row, const T* input, std::int64_t in_row, const T* weight,
    std::int64_t inputs, std::int64_t outputs) {
    constexpr int S = Vector<T>::size, Q = R == 1 ? 4 : 2;
    std::int64_t c = 0;
    for (; c + Q * S <= outputs; c += Q * S) {
        vec<T> sum[R][Q];
        for (int r = 0; r < R; r++)
            for (int q = 0; q < Q; q++) sum[r][q] = load(out + r * out_row + c + q * S);
        for (std::int64_t j = 0; j < inputs; j++) {
            const T* w = weight + j * outputs + c;
            for (int q = 0; q < Q; q++) {
                const vec<T> wq = load(w + q * S);
                for (int r = 0; r < R; r++) sum[r][q] += input[r * in_row + j] * wq;
            }
        }
        for (int r = 0; r < R; r++)
            for (int q = 0; q < Q; q++) store(out + r * out_row + c + q * S, sum[r][q]);
    }
    for (; c + S <= outputs; c += S) {
        vec<T> sum[R];
        for (int r = 0; r < R; r++) sum[r] = load(out + r * out_row + c);
        for (std::int64_t j = 0; j < inputs; j++)
            for (int r = 0; r < R; r++)
                sum[r] += input[r * in_row + j] * load(weight + j * outputs + c);
        for (int r = 0; r < R; r++) store(out + r * out_row + c, sum[r]);
    }
    for (; c < outputs; c++)
        for (int r = 0; r < R; r++) {
            T sum = out[r * out_row + c];
            for (std::int64_t j = 0; j < inputs; j++)
                sum += input[r * in_row + j] * weight[j * outputs + c];
            out[r * out_row + c] = sum;
        }
}

template <typename T, int R>
struct Generate {
    const Wavenet<T>& m;
    const std::int64_t first, C, S;
    std::vector<std::vector<T>> rings;  // each layer's inputs: [slot][row][C]
    std::vector<std::int64_t> lengths;
    std::vector<T> h, a, z, s, f, logits, p;

    Generate(const Wavenet<T>& m, std::int64_t first)
        : m(m), first(first), C(m.channels), S(m.skips), h(R * C), a(R * 2 * C),
          z(R * C), s(R * S), f(R * S), logits(R * m.levels), p(m.levels) {
        for (std::int64_t l = 0; l < m.layers; l++) {
            // What is older than the sequence is never asked for.
            lengths.push_back(std::min((m.kernel - 1) * m.dilations[l] + 1, m.steps));
            rings.emplace_back(lengths.back() * R * C, T(0));
        }
    }

    void run() {
        for (std::int64_t r = 0; r < R; r++) std::copy_n(m.start, C, &h[r * C]);
        for (std::int64_t t = 0; t < m.steps; t++) {
            for (std::int64_t r = 0; r < R; r++) std::copy_n(m.skip_bias, S, &s[r * S]);
            for (std::int64_t l = 0; l < m.layers; l++) layer(l, t);
            head();
            for (std::int64_t r = 0; r < R; r++) choose(r, t);
        }
    }

    void layer(std::int64_t l, std::int64_t t) {
        std::vector<T>& ring = rings[l];
        std::copy_n(h.data(), R * C, &ring[t % lengths[l] * R * C]);
        for (std::int64_t r = 0; r < R; r++)
            std::copy_n(m.bias + (first + r) * m.bias_rows + l * 2 * C, 2 * C, &a[r * 2 * C]);
        for (std::int64_t tap = 0; tap < m.kernel; tap++) {
            const std::int64_t back = (m.kernel - 1 - tap) * m.dilations[l];
            if (back > t) continue;
            push<T, R>(
                a.data(), 2 * C, &ring[(t - back) % lengths[l] * R * C], C,
                m.taps + (l * m.kernel + tap) * C * 2 * C, C, 2 * C);
        }
        for (std::int64_t r = 0; r < R; r++) gate(&a[r * 2 * C], &z[r * C]);
        push<T, R>(s.data(), S, z.data(), C, m.skip + l * C * S, C, S);
        if (l + 1 < m.layers)
            push<T, R>(h.data(), C, z.data(), C, m.residual + l * C * C, C, C);
    }

    void gate(T* of, T* to) const {
        activate_all<T>(static_cast<std::int64_t>(Activation::sigmoid), of, 2 * C);
        for (std::int64_t c = 0; c < C; c++) to[c] = (T(2) * of[c] - T(1)) * of[C + c];
    }

    void head() {
        for (auto& v : s) v = std::max(v, T(0));
        for (std::int64_t r = 0; r < R; r++) std::copy_n(m.hidden_bias, S, &f[r * S]);
        push<T, R>(f.data(), S, s.data(), S, m.hidden, S, S);
        for (auto& v : f) v = std::max(v, T(0));
        for (std::int64_t r = 0; r < R; r++)
            std::copy_n(m.output_bias, m.levels, &logits[r * m.levels]);
        push<T, R>(logits.data(), m.levels, f.data(), S, m.output, S, m.levels);
    }

    void choose(std::int64_t r, std::int64_t t) {
        const std::int64_t at = (first + r) * m.steps + t;
        if (m.given == nullptr || !m.given[at])
            m.x[at] = T(categorical<T>(
                &logits[r * m.levels], m.levels, m.u[at], m.temperature, p.data()));
        std::copy_n(m.table + static_cast<std::int64_t>(m.x[at]) * C, C, &h[r * C]);
    }
};

template <typename T>
int sample_wavenet(const Wavenet<T>& m, std::int64_t threads) {
    constexpr std::int64_t rows = 4;
    const std::int64_t blocks = m.n / rows, rest = m.n % rows;
    std::atomic<bool> fine{true};
    parallel(blocks + rest, threads, [&](std::int64_t i) {
        try {
            if (i < blocks) Generate<T, rows>(m, i * rows).run();
            else Generate<T, 1>(m, blocks * rows + i - blocks).run();
        } catch (const std::bad_alloc&) {
            fine = false;
        }
    });
    return fine ? 0 : 2;
}

}  // namespace ph

#define PH_WAVENET(T, NAME)                                                                    \
    PH_API int NAME(                                                                           \
        std::int64_t n, std::int64_t steps, std::int64_t layers, std::int64_t kernel,          \
        std::int64_t channels, std::int64_t skips, std::int64_t levels,                        \
        const std::int64_t* dilations, const T* taps, const T* bias, std::int64_t bias_rows,   \
        const T* residual, const T* skip, const T* skip_bias, const T* hidden,                 \
        const T* hidden_bias, const T* output, const T* output_bias, const T* table,           \
        const T* start, double temperature, const T* u, const std::uint8_t* given,             \
        std::int64_t threads, T* x) {                                                          \
        const ph::Wavenet<T> model{                                                            \
            n,       steps,       layers, kernel,      channels, skips,          levels,       \
            dilations, taps,      bias,   bias_rows,   residual, skip,           skip_bias,    \
            hidden,  hidden_bias, output, output_bias, table,    start,                        \
            T(temperature), u,    given,  x};                                                  \
        return ph::sample_wavenet<T>(model, threads);                                          \
    }
PH_WAVENET(float, ph_wavenet_f32)
PH_WAVENET(double, ph_wavenet_f64)
