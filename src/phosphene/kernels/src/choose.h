// Values by uniform numbers, as nn/scalar_distributions.py and nn/choosing.py define them.
#pragma once
#include <cmath>
#include <cstdint>

namespace ph {

// 1 where u is at least the probability of 0; temperature 0 is greedy.
template <typename T>
inline T bernoulli(T logit, T u, T temperature) {
    if (temperature == T(0)) return logit > T(0) ? T(1) : T(0);
    return u >= T(1) / (T(1) + std::exp(logit / temperature)) ? T(1) : T(0);
}

// The code at which the cumulated probability passes u; p (levels) is scratch.
template <typename T>
inline std::int64_t categorical(const T* logits, std::int64_t levels, T u, T temperature, T* p) {
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < levels; i++)
        if (logits[i] > logits[best]) best = i;
    if (temperature == T(0)) return best;
    T sum = 0;
    for (std::int64_t i = 0; i < levels; i++)
        p[i] = sum += std::exp((logits[i] - logits[best]) / temperature);
    const T mark = u * sum;
    std::int64_t code = 0;
    while (code < levels - 1 && p[code] <= mark) code++;
    // Rounding may put u beyond the last value that can occur.
    while (code > 0 && p[code] == p[code - 1]) code--;
    return code;
}

}  // namespace ph
