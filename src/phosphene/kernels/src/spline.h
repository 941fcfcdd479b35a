// The inverse of the rational-quadratic spline of nn/spline.py, for as many rows as a vector
// has lanes.
#pragma once
#include <cmath>
#include <cstdint>

#include "vectors.h"

namespace ph {

// K bins on [-bound, bound]; the numbers are the attributes of RationalQuadratic.
template <typename T>
struct Spline {
    std::int64_t bins;
    T bound, limit, floors[2], least, offset, unit;
    bool exponential_slopes;

    Spline(std::int64_t outputs, const double* o)
        : bins((outputs + 1) / 3), bound(T(o[0])), limit(T(o[1])), floors{T(o[2]), T(o[3])},
          least(T(o[4])), offset(T(o[5])), unit(T(o[6])), exponential_slopes(o[7] != 0.0) {}

    std::int64_t scratch() const { return 2 * (bins + 1); }

    // r / (1 + |r| bend)
    static vec<T> bent(vec<T> r, T bend) {
        const vec<T> size = r < T(0) ? -r : r;
        return r / (T(1) + size * bend);
    }

    // Knots -B + 2 B (floor j + (1 - K floor) (p_0 + ... + p_{j-1})), p the softmax of K numbers.
    template <typename Get>
    void knots(const Get& get, T floor, vec<T>* out) const {
        const T bend = limit > 0 ? T(2) / limit : T(0);
        vec<T> most = bent(get(0), bend), sum = all<T>(0);
        out[1] = most;
        for (std::int64_t j = 1; j < bins; j++) {
            out[j + 1] = bent(get(j), bend);
            most = out[j + 1] > most ? out[j + 1] : most;
        }
        for (std::int64_t j = 1; j <= bins; j++) {
            out[j] = exponential<T>(out[j] - most);
            sum += out[j];
        }
        const vec<T> scale = (T(2) * bound * (T(1) - T(bins) * floor)) / sum;
        vec<T> before = all<T>(0);
        for (std::int64_t j = 1; j < bins; j++) {
            before += out[j];
            out[j] = before * scale + bound * (T(2) * floor * T(j) - T(1));
        }
        out[0] = all<T>(-bound);
        out[bins] = all<T>(bound);
    }

    vec<T> slope(vec<T> raw) const {
        if (exponential_slopes) return exponential<T>(raw);
        T part[Vector<T>::size];
        store(part, raw);
        for (T& r : part) r = least + (r > T(20) ? r : std::log1p(std::exp(r)));
        return load(part);
    }

    static vec<T> root_of(vec<T> x) {
        T part[Vector<T>::size];
        store(part, x < T(0) ? all<T>(0) : x);
        for (T& r : part) r = std::sqrt(r);
        return load(part);
    }

    // The x with h(x) = y; get(s) are the parameters s of the rows, room holds scratch() vectors.
    template <typename Get>
    vec<T> inverse(vec<T> y, const Get& get, vec<T>* room) const {
        const std::int64_t K = bins;
        vec<T>*xs = room, *ys = room + K + 1;
        knots(get, floors[0], xs);
        knots([&](std::int64_t j) { return get(K + j); }, floors[1], ys);
        vec<T> v = y < -bound ? all<T>(-bound) : y;
        v = v > bound ? all<T>(bound) : v;
        const T bend = limit > 0 ? T(1) / limit : T(0);
        const auto raw = [&](std::int64_t knot) {
            return knot == 0 || knot == K ? all<T>(unit) : bent(get(2 * K + knot - 1), bend) + offset;
        };
        vec<T> x0 = xs[0], x1 = xs[1], y0 = ys[0], y1 = ys[1], r0 = raw(0), r1 = raw(1), at = r1;
        for (std::int64_t j = 1; j < K; j++) {
            const auto here = v >= ys[j];
            const vec<T> after = raw(j + 1);
            x0 = here ? xs[j] : x0, x1 = here ? xs[j + 1] : x1;
            y0 = here ? ys[j] : y0, y1 = here ? ys[j + 1] : y1;
            r0 = here ? at : r0, r1 = here ? after : r1;
            at = after;
        }
        const vec<T> w = x1 - x0, h = y1 - y0, s = h / w, d0 = slope(r0), d1 = slope(r1);
        // The root of a z^2 + b z - s (v - y0) in [0, 1], by the form that does not cancel.
        v -= y0;
        const vec<T> move = v * (d0 + d1 - T(2) * s);
        const vec<T> a = move + h * (s - d0), b = h * d0 - move, c = s * v;
        const vec<T> r = root_of(b * b + T(4) * a * c);
        const vec<T> above = b < T(0) ? r - b : T(2) * c, below = b < T(0) ? T(2) * a : b + r;
        vec<T> z = above / below;
        z = z < T(0) ? all<T>(0) : z;
        z = z > T(1) ? all<T>(1) : z;
        const vec<T> x = x0 + z * w;
        const vec<T> size = y < T(0) ? -y : y;
        return size <= bound ? x : y;
    }
};

}  // namespace ph
