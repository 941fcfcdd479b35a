// Sampling from a masked network, every hidden unit computed once: MADE, masked autoregressive
// flows.
//
// Units are sorted by degree and inputs by rank (nn/masked.py, SortedMLP), so that what is known
// once k values are is a leading block of every array. Ranks are taken in chunks: first all units
// of the chunk take in what was known before it, as a product of matrices with blocks held in
// registers; then, rank by rank, the little that becomes known within the chunk.
#include <algorithm>
#include <vector>

#include "choose.h"
#include "rows.h"
#include "spline.h"

namespace ph {

enum class Head : std::int64_t {
    bernoulli = 0, categorical = 1, mixture = 2, affine = 3, softplus = 4, sigmoid = 5, spline = 6
};

template <typename T>
struct Masked {
    std::int64_t n, dimensions, layers, features, outputs;
    const std::int64_t* widths;     // (L)
    const std::int64_t* known;      // (L, D): units whose inputs are known at each rank
    const T* const* weights;        // L of (H_l, H_{l-1}), the first (H_0, D F)
    const T* const* biases;         // L of (H_l), or (n, H_l) if bias_rows
    const T* head;                  // (D, S, H_L), (D, S, D F) without hidden layers
    const T* head_bias;             // (D, S), or (n, D, S) if bias_rows
    const T* direct;                // (D, S, D F), or null
    std::int64_t bias_rows, residual;
    std::int64_t activation;
    Head kind;
    const double* options;          // of the head: kernels/masked.py
    T temperature;
    const T *u, *z;                 // (n, D): uniform numbers; standard values of reals
    const std::uint8_t* given;      // (n, D), or null: where x is given
    T* x;                           // (n, D): given values go in, all values come out
};

// out[i][r] += sum_j weight[i][j] input[j][r] for some rows of the weights.
template <typename T, int R>
void pulls(
    T* out, const T* weight, std::int64_t stride, std::int64_t rows, const T* input,
    std::int64_t length) {
    constexpr int S = Vector<T>::size;
    std::int64_t i = 0;
    if constexpr (R > 1) {
        constexpr int V = R / S, Q = 4;
        for (; i + Q <= rows; i += Q)
            for (int v = 0; v < V; v += 2) {
                constexpr int W = V < 2 ? 1 : 2;
                vec<T> sum[Q][W];
                for (int q = 0; q < Q; q++)
                    for (int w = 0; w < W; w++) sum[q][w] = load(out + (i + q) * R + (v + w) * S);
                const T* at = weight + i * stride;
                for (std::int64_t j = 0; j < length; j++) {
                    vec<T> in[W];
                    for (int w = 0; w < W; w++) in[w] = load(input + j * R + (v + w) * S);
                    for (int q = 0; q < Q; q++)
                        for (int w = 0; w < W; w++) sum[q][w] += at[q * stride + j] * in[w];
                }
                for (int q = 0; q < Q; q++)
                    for (int w = 0; w < W; w++) store(out + (i + q) * R + (v + w) * S, sum[q][w]);
            }
    }
    for (; i < rows; i++) pull<T, R>(out + i * R, weight + i * stride, input, length);
}

// One block of rows on its way through the ranks.
template <typename T, int R>
struct Walk {
    const Masked<T>& m;
    const std::int64_t first, count, D, F, S;
    std::vector<std::vector<T>> state;  // the features, then the hidden layers: [unit][row]
    std::vector<T> out, scratch;        // the chunk's outputs [rank, output][row]
    const T limit, offset;              // the first options of a head
    const Spline<T> spline;
    std::vector<vec<T>> room;           // of the spline

    static constexpr std::int64_t chunk = 16;

    Walk(const Masked<T>& m, std::int64_t first, std::int64_t count)
        : m(m), first(first), count(count), D(m.dimensions), F(m.features), S(m.outputs),
          out(chunk * S * R), scratch(2 * S), limit(T(m.options[0])), offset(T(m.options[1])),
          spline(S, m.options), room(m.kind == Head::spline ? spline.scratch() : 0) {
        state.emplace_back(D * F * R, T(0));
        for (std::int64_t l = 0; l < m.layers; l++) {
            state.emplace_back(m.widths[l] * R, T(0));
            fill(state.back().data(), m.biases[l], m.widths[l], m.widths[l]);
        }
    }

    // Units known once the value at rank k - 1 is; layer 0 are the features.
    std::int64_t known(std::int64_t layer, std::int64_t k) const {
        if (layer == 0) return std::max<std::int64_t>(k, 0) * F;
        return k < 0 ? 0 : m.known[(layer - 1) * D + k];
    }

    void fill(T* to, const T* bias, std::int64_t units, std::int64_t row) const {
        for (std::int64_t r = 0; r < count; r++) {
            const T* from = bias + (m.bias_rows ? (first + r) * row : 0);
            for (std::int64_t j = 0; j < units; j++) to[j * R + r] = from[j];
        }
    }

    void run() {
        for (std::int64_t start = 0; start < D; start += chunk) {
            const std::int64_t end = std::min(D, start + chunk);
            fill(out.data(), m.head_bias + start * S, (end - start) * S, D * S);
            take_in(start, end);
            for (std::int64_t k = start; k < end; k++) {
                for (std::int64_t l = 1; l <= m.layers; l++) compute(l, k, start);
                T* y = out.data() + (k - start) * S * R;
                finish(y, k, start);
                if (m.kind == Head::spline) invert(y, k);
                else
                    for (std::int64_t r = 0; r < count; r++) draw(y, k, r);
            }
        }
    }

    // What was known before the chunk goes into all its units and outputs.
    void take_in(std::int64_t start, std::int64_t end) {
        for (std::int64_t l = 1; l <= m.layers; l++) {
            const std::int64_t a = known(l, start - 1), b = known(l, end - 1);
            const std::int64_t width = l == 1 ? D * F : m.widths[l - 2];
            pulls<T, R>(
                &state[l][0] + a * R, m.weights[l - 1] + a * width, width, b - a,
                state[l - 1].data(), known(l - 1, start - 1));
        }
        const std::int64_t rows = (end - start) * S, top = last_width();
        pulls<T, R>(
            out.data(), m.head + start * S * top, top, rows, state.back().data(),
            known(m.layers, start - 1));
        if (m.direct != nullptr)
            pulls<T, R>(
                out.data(), m.direct + start * S * D * F, D * F, rows, state[0].data(),
                known(0, start - 1));
    }

    // The units of layer l whose last input is the value at rank k - 1.
    void compute(std::int64_t l, std::int64_t k, std::int64_t start) {
        const std::int64_t a = known(l, k - 1), b = known(l, k);
        const std::int64_t width = l == 1 ? D * F : m.widths[l - 2];
        const std::int64_t from = known(l - 1, start - 1), to = known(l - 1, k);
        T* unit = state[l].data();
        pulls<T, R>(
            unit + a * R, m.weights[l - 1] + a * width + from, width, b - a,
            state[l - 1].data() + from * R, to - from);
        activate_all<T>(m.activation, unit + a * R, (b - a) * R);
        if (m.residual && l > 1)
            for (std::int64_t i = a * R; i < b * R; i++) unit[i] += state[l - 1][i];
    }

    // The outputs at rank k take in what became known within the chunk.
    void finish(T* y, std::int64_t k, std::int64_t start) {
        const std::int64_t from = known(m.layers, start - 1), to = known(m.layers, k);
        const std::int64_t top = last_width();
        pulls<T, R>(
            y, m.head + k * S * top + from, top, S, state.back().data() + from * R, to - from);
        if (m.direct == nullptr) return;
        const std::int64_t before = known(0, start - 1), now = known(0, k);
        pulls<T, R>(
            y, m.direct + k * S * D * F + before, D * F, S, state[0].data() + before * R,
            now - before);
    }

    std::int64_t last_width() const { return m.layers == 0 ? D * F : m.widths[m.layers - 1]; }

    void draw(const T* y, std::int64_t k, std::int64_t r) {
        const std::int64_t at = (first + r) * D + k;
        const bool kept = m.given != nullptr && m.given[at];
        T* feature = state[0].data() + k * F * R + r;
        T* p = scratch.data();
        for (std::int64_t s = 0; s < S; s++) p[s] = y[s * R + r];
        switch (m.kind) {
            case Head::bernoulli:
                if (!kept) m.x[at] = bernoulli<T>(p[0], m.u[at], m.temperature);
                feature[0] = m.x[at];
                break;
            case Head::categorical: {
                if (!kept) m.x[at] = T(categorical<T>(p, S, m.u[at], m.temperature, p + S));
                if (F == 1) feature[0] = m.x[at] * (T(2) / T(S - 1)) - T(1);
                else feature[static_cast<std::int64_t>(m.x[at]) * R] = T(1);
                break;
            }
            case Head::mixture:
                if (!kept) m.x[at] = component(p, at);
                feature[0] = m.x[at];
                break;
            case Head::affine: {
                // x = (z - shift) exp(-s), s = log-scale / (1 + |log-scale| / limit)
                T s = S > 1 ? p[1] : T(0);
                if (limit > 0) s = s / (T(1) + std::abs(s) / limit);
                if (!kept) m.x[at] = (m.z[at] - p[0]) * std::exp(-s);
                feature[0] = m.x[at];
                break;
            }
            case Head::softplus:
            case Head::sigmoid: {
                // x = (z - shift) / scale, scale = floor + g(raw + offset)
                const T raw = p[1] + offset;
                const T g = m.kind == Head::sigmoid ? T(1) / (T(1) + std::exp(-raw))
                            : raw > T(20)           ? raw
                                                    : std::log1p(std::exp(raw));
                if (!kept) m.x[at] = (m.z[at] - p[0]) / (limit + g);
                feature[0] = m.x[at];
                break;
            }
            case Head::spline: break;  // invert() takes the rows of the block together
        }
    }

    // x with h(x) = z at rank k, h the spline whose parameters are the outputs y.
    void invert(const T* y, std::int64_t k) {
        constexpr int L = Vector<T>::size, lanes = R < L ? R : L;
        T* feature = state[0].data() + k * F * R;
        for (std::int64_t start = 0; start < count; start += lanes) {
            T part[L] = {};
            const std::int64_t end = std::min<std::int64_t>(count - start, lanes);
            const std::int64_t at = (first + start) * D + k;
            for (std::int64_t r = 0; r < end; r++) part[r] = m.z[at + r * D];
            const auto get = [&](std::int64_t s) {
                if constexpr (R < L) return all<T>(y[s]);
                else return load(y + s * R + start);
            };
            store(part, spline.inverse(load(part), get, room.data()));
            for (std::int64_t r = 0; r < end; r++) {
                T& x = m.x[at + r * D];
                if (m.given == nullptr || !m.given[at + r * D]) x = part[r];
                feature[start + r] = x;
            }
        }
    }

    // A component's location plus its scale times z, in standardized units.
    T component(T* p, std::int64_t at) const {
        const std::int64_t K = S / 3;
        std::int64_t k = 0;
        if (K > 1) k = categorical<T>(p, K, m.u[at], m.temperature, p + S);
        const T s = limit * std::tanh(p[2 * K + k] / limit);
        return p[K + k] + m.temperature * std::exp(s) * m.z[at];
    }
};

template <typename T>
int sample_masked(const Masked<T>& m, std::int64_t threads) {
    if (!with_activation(m.activation, [](auto) {})) return 1;
    for (std::int64_t l = 0; l < m.layers; l++)
        for (std::int64_t k = 0, before = 0; k < m.dimensions; k++) {
            const std::int64_t units = m.known[l * m.dimensions + k];
            if (units < before || units > m.widths[l]) return 1;
            if (m.residual && l > 0 && units > m.known[(l - 1) * m.dimensions + k]) return 1;
            before = units;
        }
    const auto block = [&](auto rows, std::int64_t first, std::int64_t count) {
        Walk<T, decltype(rows)::value>(m, first, count).run();
    };
    return in_blocks<T>(m.n, threads, block) ? 0 : 2;
}

}  // namespace ph

#define PH_MASKED(T, NAME)                                                                     \
    PH_API int NAME(                                                                           \
        std::int64_t n, std::int64_t dimensions, std::int64_t layers, std::int64_t features,   \
        std::int64_t outputs, const std::int64_t* widths, const std::int64_t* known,           \
        const T* const* weights, const T* const* biases, const T* head, const T* head_bias,    \
        const T* direct, std::int64_t bias_rows, std::int64_t residual, std::int64_t kind,     \
        const double* options, double temperature, const T* u, const T* z,                     \
        const std::uint8_t* given, std::int64_t activation, std::int64_t threads, T* x) {      \
        const ph::Masked<T> model{                                                             \
            n,         dimensions, layers,   features,       outputs, widths,                  \
            known,     weights,    biases,   head,           head_bias, direct,                \
            bias_rows, residual,   activation, static_cast<ph::Head>(kind), options,           \
            T(temperature), u,     z,        given,          x};                               \
        return ph::sample_masked<T>(model, threads);                                           \
    }
PH_MASKED(float, ph_masked_f32)
PH_MASKED(double, ph_masked_f64)
