// Rows (examples) in blocks: R rows are computed together, one to a lane of the vectors.
//
// Activations of a block are stored [unit][row], so that a weight is read once for R rows and no
// sum runs across lanes. One row alone is computed by dot products along its units.
#pragma once
#include <new>

#include "parallel.h"
#include "vectors.h"

namespace ph {

// out[r] += sum_j weight[j] input[j][r] for r < R.
template <typename T, int R>
PH_INLINE void pull(T* out, const T* weight, const T* input, std::int64_t length) {
    constexpr int S = Vector<T>::size;
    if constexpr (R == 1) {
        vec<T> a = all<T>(0), b = all<T>(0), c = all<T>(0), d = all<T>(0);
        std::int64_t j = 0;
        for (; j + 4 * S <= length; j += 4 * S) {
            a += load(weight + j) * load(input + j);
            b += load(weight + j + S) * load(input + j + S);
            c += load(weight + j + 2 * S) * load(input + j + 2 * S);
            d += load(weight + j + 3 * S) * load(input + j + 3 * S);
        }
        for (; j + S <= length; j += S) a += load(weight + j) * load(input + j);
        T sum = total<T>((a + b) + (c + d));
        for (; j < length; j++) sum += weight[j] * input[j];
        out[0] += sum;
    } else {
        constexpr int V = R / S;
        static_assert(V * S == R);
        vec<T> sum[V], other[V];
        for (int v = 0; v < V; v++) sum[v] = load(out + v * S), other[v] = all<T>(0);
        std::int64_t j = 0;
        for (; j + 2 <= length; j += 2)
            for (int v = 0; v < V; v++) {
                sum[v] += weight[j] * load(input + j * R + v * S);
                other[v] += weight[j + 1] * load(input + (j + 1) * R + v * S);
            }
        if (j < length)
            for (int v = 0; v < V; v++) sum[v] += weight[j] * load(input + j * R + v * S);
        for (int v = 0; v < V; v++) store(out + v * S, sum[v] + other[v]);
    }
}

template <int R>
using Rows = std::integral_constant<int, R>;

// Cuts n rows into blocks by n alone, and runs block(Rows<R>(), first, count) for each.
// Returns false if memory ran out.
template <typename T, typename F>
bool in_blocks(std::int64_t n, std::int64_t threads, const F& block) {
    constexpr int L = 32;                            // a large block, for throughput
    constexpr int M = 64 / static_cast<int>(sizeof(T));  // a block of at most two, four registers
    constexpr int few = 3;                           // so few rows are quicker one by one
    const std::int64_t large = n / L, rest = n % L, medium = rest / M, left = rest % M;
    const std::int64_t singles = left <= few ? left : 0, padded = left > few;
    std::atomic<bool> fine{true};
    parallel(large + medium + padded + singles, threads, [&](std::int64_t i) {
        try {
            if (i < large) {
                block(Rows<L>(), i * L, std::int64_t{L});
            } else if (i < large + medium + padded) {
                const std::int64_t first = large * L + (i - large) * M;
                block(Rows<M>(), first, n - first < M ? n - first : std::int64_t{M});
            } else {
                const std::int64_t done = large * L + medium * M;
                block(Rows<1>(), done + i - large - medium, std::int64_t{1});
            }
        } catch (const std::bad_alloc&) {
            fine = false;
        }
    });
    return fine;
}

}  // namespace ph
