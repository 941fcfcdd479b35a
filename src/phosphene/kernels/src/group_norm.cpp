// Group normalization of images whose channels come last, with what stands around it:
//
//   y = f(g (x - m) r + b),  m and r = 1 / sqrt(var + eps) of each group of channels,  f = silu or 1
//
// and its gradients. One example after another: what a pass over one leaves in the cache, the next
// pass reads there. Half precision (bfloat16) is read and written as such, and computed in single.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "parallel.h"
#include "vectors.h"

namespace ph {

// The upper halves of single-precision numbers.
struct Half {
    std::uint16_t bits;
};

template <typename S>
struct Computed {
    using type = S;
};
template <>
struct Computed<Half> {
    using type = float;
};

// The first `count` lanes, the others 0.
template <typename T>
PH_INLINE vec<T> read(const T* p, int count) {
    if (count == Vector<T>::size) return load(p);
    vec<T> v{};
    std::memcpy(&v, p, count * sizeof(T));
    return v;
}
template <typename T>
PH_INLINE void write(T* p, vec<T> v, int count) {
    if (count == Vector<T>::size) return store(p, v);
    std::memcpy(p, &v, count * sizeof(T));
}

constexpr int kHalves = Vector<float>::size;
typedef std::uint16_t Shorts __attribute__((vector_size(kHalves * 2)));
typedef std::uint32_t Words __attribute__((vector_size(kHalves * 4)));

PH_INLINE vec<float> read(const Half* p, int count) {
    Shorts s{};
    if (count == kHalves) std::memcpy(&s, p, sizeof s);
    else std::memcpy(&s, p, count * sizeof(Half));
    const Words w = __builtin_convertvector(s, Words) << 16;
    vec<float> v;
    std::memcpy(&v, &w, sizeof v);
    return v;
}
PH_INLINE void write(Half* p, vec<float> v, int count) {
    Words w;
    std::memcpy(&w, &v, sizeof w);
    // To the nearest, ties to even; a not-a-number keeps its sign and stays one.
    const Words rounded = (w + 0x7fff + ((w >> 16) & 1)) >> 16;
    const Words kept = (w >> 16) | 0x40;
    const auto number = v == v;
    Words mask;
    std::memcpy(&mask, &number, sizeof mask);
    const Words chosen = (rounded & mask) | (kept & ~mask);
    const Shorts s = __builtin_convertvector(chosen, Shorts);
    if (count == kHalves) std::memcpy(p, &s, sizeof s);
    else std::memcpy(p, &s, count * sizeof(Half));
}

template <typename S>
struct Norm {
    using T = typename Computed<S>::type;
    std::int64_t n, pixels, channels, groups;
    double eps;
    bool activate;
    const S* x;
    const T *gain, *shift;
    std::int64_t gain_rows, shift_rows;  // from one example's to the next; 0 where all share them

    static constexpr int lanes = Vector<T>::size;
    std::int64_t padded() const { return (channels + lanes - 1) / lanes * lanes; }
    PH_INLINE int count(std::int64_t j) const {
        return channels - j < lanes ? static_cast<int>(channels - j) : lanes;
    }

    // Moments of one example, about its first pixel, so that a large mean costs no digits.
    void moments(std::int64_t i, T* mean, T* rate, T* sum, T* squares) const {
        const S* p = x + i * pixels * channels;
        const std::int64_t size = channels / groups;
        for (std::int64_t j = 0; j < channels; j += lanes) {
            const int k = count(j);
            const vec<T> origin = read(p + j, k);
            vec<T> a{}, b{};
            for (std::int64_t l = 0; l < pixels; l++) {
                const vec<T> d = read(p + l * channels + j, k) - origin;
                a += d;
                b += d * d;
            }
            const T share = T(1) / static_cast<T>(pixels);
            store(squares + j, b - a * a * share);
            store(sum + j, origin + a * share);
        }
        for (std::int64_t g = 0; g < groups; g++) {
            double m = 0, v = 0;
            for (std::int64_t j = g * size; j < (g + 1) * size; j++) m += sum[j];
            m /= static_cast<double>(size);
            for (std::int64_t j = g * size; j < (g + 1) * size; j++)
                v += squares[j] / static_cast<double>(pixels) + (sum[j] - m) * (sum[j] - m);
            v /= static_cast<double>(size);
            mean[g] = static_cast<T>(m);
            rate[g] = static_cast<T>(1.0 / std::sqrt((v > 0 ? v : v < 0 ? 0.0 : v) + eps));
        }
    }

    // z = slope (x - middle) + start
    void coefficients(std::int64_t i, const T* mean, const T* rate, T* slope, T* start, T* middle) const {
        const T *g = gain + i * gain_rows, *b = shift + i * shift_rows;
        const std::int64_t size = channels / groups;
        for (std::int64_t j = 0; j < channels; j++) {
            slope[j] = g[j] * rate[j / size];
            middle[j] = mean[j / size];
            start[j] = b[j];
        }
    }

    int forward(S* y, T* mean, T* rate, std::int64_t threads) const {
        const std::int64_t width = padded();
        std::vector<T> scratch;
        try {
            scratch.resize(5 * width * n);
        } catch (const std::bad_alloc&) {
            return 2;
        }
        parallel(n, threads, [&](std::int64_t i) {
            T* slope = scratch.data() + 5 * width * i;
            T *start = slope + width, *middle = start + width;
            T *m = mean + i * groups, *r = rate + i * groups;
            moments(i, m, r, middle + width, middle + 2 * width);
            coefficients(i, m, r, slope, start, middle);
            const S* p = x + i * pixels * channels;
            S* out = y + i * pixels * channels;
            for (std::int64_t j = 0; j < channels; j += lanes) {
                const int k = count(j);
                const vec<T> a = load(slope + j), b = load(start + j), c = load(middle + j);
                for (std::int64_t l = 0; l < pixels; l++) {
                    vec<T> z = (read(p + l * channels + j, k) - c) * a + b;
                    if (activate) z = z * sigmoid<T>(z);
                    write(out + l * channels + j, z, k);
                }
            }
        });
        return 0;
    }

    int backward(const S* dy, const T* mean, const T* rate, S* dx, T* dgain, T* dshift,
                 std::int64_t threads) const {
        const std::int64_t width = padded(), size = channels / groups;
        std::vector<T> scratch;
        try {
            scratch.resize((5 * width) * n);
        } catch (const std::bad_alloc&) {
            return 2;
        }
        parallel(n, threads, [&](std::int64_t i) {
            T* slope = scratch.data() + 5 * width * i;
            T *start = slope + width, *middle = start + width, *p = middle + width, *q = p + width;
            const T *m = mean + i * groups, *r = rate + i * groups;
            coefficients(i, m, r, slope, start, middle);
            const S *from = x + i * pixels * channels, *by = dy + i * pixels * channels;
            S* to = dx + i * pixels * channels;
            for (std::int64_t j = 0; j < channels; j += lanes) {
                const int k = count(j);
                const vec<T> a = load(slope + j), b = load(start + j), c = load(middle + j);
                vec<T> plain{}, along{};
                for (std::int64_t l = 0; l < pixels; l++) {
                    const vec<T> d = read(from + l * channels + j, k) - c;
                    const vec<T> e = pushed(read(by + l * channels + j, k), d * a + b);
                    plain += e;
                    along += e * d;
                }
                store(p + j, plain);
                store(q + j, along);
            }
            const T* g = gain + i * gain_rows;
            for (std::int64_t h = 0; h < groups; h++) {
                double level = 0, tilt = 0;
                for (std::int64_t j = h * size; j < (h + 1) * size; j++) {
                    dshift[i * channels + j] = p[j];
                    dgain[i * channels + j] = q[j] * r[h];
                    level += g[j] * p[j];
                    tilt += g[j] * q[j] * r[h];
                }
                const double share = 1.0 / static_cast<double>(pixels * size);
                for (std::int64_t j = h * size; j < (h + 1) * size; j++) {
                    p[j] = static_cast<T>(-level * share * r[h]);
                    q[j] = static_cast<T>(-tilt * share * r[h] * r[h]);
                }
            }
            for (std::int64_t j = 0; j < channels; j += lanes) {
                const int k = count(j);
                const vec<T> a = load(slope + j), b = load(start + j), c = load(middle + j);
                const vec<T> level = load(p + j), tilt = load(q + j);
                for (std::int64_t l = 0; l < pixels; l++) {
                    const vec<T> d = read(from + l * channels + j, k) - c;
                    const vec<T> e = pushed(read(by + l * channels + j, k), d * a + b);
                    write(to + l * channels + j, e * a + d * tilt + level, k);
                }
            }
        });
        return 0;
    }

    // The gradient before the activation.
    PH_INLINE vec<T> pushed(vec<T> e, vec<T> z) const {
        if (!activate) return e;
        const vec<T> s = sigmoid<T>(z);
        return e * s * (T(1) + z * (T(1) - s));
    }
};

}  // namespace ph

using Half = ph::Half;
typedef std::uint16_t word;

#define PH_GROUP_NORM(T, S, WORD, FORWARD, BACKWARD)                                             \
    PH_API int FORWARD(                                                                          \
        std::int64_t n, std::int64_t pixels, std::int64_t channels, std::int64_t groups,         \
        double eps, std::int64_t activate, const WORD* x, const T* gain, std::int64_t gain_rows, \
        const T* shift, std::int64_t shift_rows, WORD* y, T* mean, T* rate,                      \
        std::int64_t threads) {                                                                  \
        const ph::Norm<S> norm{n, pixels, channels, groups, eps, activate != 0,                  \
                               reinterpret_cast<const S*>(x), gain, shift, gain_rows,            \
                               shift_rows};                                                      \
        return norm.forward(reinterpret_cast<S*>(y), mean, rate, threads);                       \
    }                                                                                            \
    PH_API int BACKWARD(                                                                         \
        std::int64_t n, std::int64_t pixels, std::int64_t channels, std::int64_t groups,         \
        std::int64_t activate, const WORD* x, const T* gain, std::int64_t gain_rows,             \
        const T* shift, std::int64_t shift_rows, const WORD* dy, const T* mean, const T* rate,   \
        WORD* dx, T* dgain, T* dshift, std::int64_t threads) {                                   \
        const ph::Norm<S> norm{n, pixels, channels, groups, 0.0, activate != 0,                  \
                               reinterpret_cast<const S*>(x), gain, shift, gain_rows,            \
                               shift_rows};                                                      \
        return norm.backward(reinterpret_cast<const S*>(dy), mean, rate,                         \
                             reinterpret_cast<S*>(dx), dgain, dshift, threads);                  \
    }
PH_GROUP_NORM(float, float, float, ph_group_norm_f32, ph_group_norm_backward_f32)
PH_GROUP_NORM(double, double, double, ph_group_norm_f64, ph_group_norm_backward_f64)
PH_GROUP_NORM(float, Half, word, ph_half_group_norm_f32, ph_half_group_norm_backward_f32)
