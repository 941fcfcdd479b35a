// What multilayer perceptrons are made of, and how their hidden units lie in memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "gemm.h"

namespace ph {

// The distance between rows of hidden units, whatever the build: whole cache lines, and an odd
// number of them where a power of two would crowd a few sets of the cache. As in mlp.py.
constexpr std::int64_t lead(std::int64_t width) {
    return up(width, 16) + (up(width, 16) % 256 == 0 ? 16 : 0);
}

template <typename T>
struct Layer {
    std::int64_t in, out;
    const T *w, *b;
    std::int64_t kept;   // where its outputs begin among those kept, per row
    std::int64_t index;  // among the layers of all networks
};

template <typename T>
struct Net {
    std::int64_t activation;
    std::vector<Layer<T>> layers;
};

// Several networks of one input, from numbers: for each, how many layers, the activation, the
// widths, and the addresses of weights and biases.
template <typename T>
struct Nets {
    std::vector<Net<T>> all;
    std::int64_t kept = 0, depth = 0, weights = 0, products = 0, widest = 0;

    Nets(const std::int64_t* p, std::int64_t count) {
        for (std::int64_t k = 0; k < count; k++) {
            const std::int64_t depth = *p++;
            Net<T> net{*p++, {}};
            const std::int64_t *widths = p, *addresses = p + depth + 1;
            for (std::int64_t l = 0; l < depth; l++) {
                const std::int64_t in = widths[l], out = widths[l + 1];
                net.layers.push_back(
                    {in, out, reinterpret_cast<const T*>(addresses[2 * l]),
                     reinterpret_cast<const T*>(addresses[2 * l + 1]), kept, this->depth++});
                if (l + 1 < depth) kept += lead(out);
                // Room for its weights as panels or padded rows in either direction, and biases.
                weights += std::max(lead(in) * up(out, 16), lead(out) * up(in, 16)) + up(out, 16);
                products += in * out;
                widest = std::max({widest, lead(in), lead(out)});
            }
            p = addresses + 2 * depth;
            all.push_back(std::move(net));
        }
    }
    // A thread costs as much as some hundred thousand products.
    std::int64_t worth(std::int64_t threads, std::int64_t n, std::int64_t times) const {
        return std::min(threads, times * n * products / 2000000 + 1);
    }
};

template <typename T, Activation A>
PH_INLINE vec<T> slope(vec<T> h) {  // f' from f's value
    if constexpr (A == Activation::relu) return h <= T(0) ? all<T>(0) : all<T>(1);
    if constexpr (A == Activation::sigmoid) return h * (T(1) - h);
    if constexpr (A == Activation::tanh) return T(1) - h * h;
    if constexpr (A == Activation::elu) return h > T(0) ? all<T>(1) : h + T(1);
    if constexpr (A == Activation::leaky) return h > T(0) ? all<T>(1) : all<T>(0.2);
    return all<T>(1);
}

// Activates rows of hidden units in place; what pads them is zero.
template <typename T>
void activate_rows(std::int64_t code, T* h, std::int64_t rows, std::int64_t width) {
    constexpr int S = Vector<T>::size;
    const std::int64_t row = lead(width), filled = up(width, S);
    with_activation(code, [&](auto f) {
        for (std::int64_t r = 0; r < rows; r++, h += row) {
            for (std::int64_t i = 0; i < filled; i += S)
                store(h + i, activate<T, decltype(f)::value>(load(h + i)));
            for (std::int64_t i = width; i < filled; i++) h[i] = T(0);
        }
    });
}

template <typename T>
void slope_rows(std::int64_t code, const T* h, T* d, std::int64_t rows, std::int64_t width) {
    constexpr int S = Vector<T>::size;
    const std::int64_t row = lead(width);
    with_activation(code, [&](auto f) {
        for (std::int64_t r = 0; r < rows; r++, h += row, d += row)
            for (std::int64_t i = 0; i < width; i += S)
                store(d + i, load(d + i) * slope<T, decltype(f)::value>(load(h + i)));
    });
}

template <typename F>
int with_memory(const F& f) {
    try {
        return f();
    } catch (const std::bad_alloc&) {
        return 2;
    }
}

}  // namespace ph
