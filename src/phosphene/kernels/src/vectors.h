// Vectors of the machine's width, and the functions of them that kernels need.
//
// GCC's and Clang's vector extensions say exactly what is computed, so no flag that lets the
// compiler rearrange sums (-ffast-math and its parts) is needed: every build of one source adds in
// the same order for a given width, and infinities and not-a-numbers keep their meaning.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX512F__)
#define PH_BYTES 64
#elif defined(__AVX__)
#define PH_BYTES 32
#else
#define PH_BYTES 16
#endif

// What the library shows of itself.
#define PH_API extern "C" __attribute__((visibility("default")))
#define PH_INLINE inline __attribute__((always_inline))

namespace ph {

template <typename T>
struct Bits;
template <>
struct Bits<float> {
    using integer = std::int32_t;
    static constexpr int mantissa = 23, bias = 127, terms = 7;
    // 1.5 * 2^23: adding it leaves the nearest integer in the low bits of the sum.
    static constexpr float magic = 12582912.0f;
    static constexpr float high = 0.693145751953125f, low = 1.42860677e-6f;
    static constexpr float least = -87.0f, most = 88.0f;
};
template <>
struct Bits<double> {
    using integer = std::int64_t;
    static constexpr int mantissa = 52, bias = 1023, terms = 13;
    static constexpr double magic = 6755399441055744.0;
    static constexpr double high = 6.93147180369123816490e-01, low = 1.90821492927058770002e-10;
    static constexpr double least = -708.0, most = 709.0;
};

// A vector of T as wide as a register.
template <typename T>
struct Vector {
    typedef T type __attribute__((vector_size(PH_BYTES)));
    typedef typename Bits<T>::integer integers __attribute__((vector_size(PH_BYTES)));
    static constexpr int size = PH_BYTES / sizeof(T);
};
template <typename T>
using vec = typename Vector<T>::type;

template <typename T>
PH_INLINE vec<T> load(const T* p) {
    vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <typename T>
PH_INLINE void store(T* p, vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}
template <typename T>
PH_INLINE vec<T> all(T value) {
    return value - vec<T>{};
}

// The sum of a vector's entries, in a fixed order.
template <typename T>
PH_INLINE T total(vec<T> v) {
    T part[Vector<T>::size];
    store(part, v);
    for (int width = Vector<T>::size / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++) part[i] += part[i + width];
    return part[0];
}

constexpr double factorial(int n) { return n < 2 ? 1.0 : n * factorial(n - 1); }

// exp(x) = 2^n exp(r), |r| <= ln(2)/2, by Taylor's series to the precision of T. Results below the
// least normal number are the least exponent's; not-a-number stays.
template <typename T>
PH_INLINE vec<T> exponential(vec<T> x) {
    using B = Bits<T>;
    using I = typename Vector<T>::integers;
    x = x < B::least ? all<T>(B::least) : x;
    x = x > B::most ? all<T>(B::most) : x;
    const vec<T> shifted = x * T(1.44269504088896340736) + B::magic;
    const vec<T> n = shifted - B::magic;
    const vec<T> r = (x - n * B::high) - n * B::low;
    vec<T> sum = all<T>(T(1.0 / factorial(B::terms)));
#pragma GCC unroll 16
    for (int i = B::terms - 1; i >= 0; i--) sum = sum * r + T(1.0 / factorial(i));
    I bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + B::bias) << B::mantissa;
    vec<T> power;
    std::memcpy(&power, &bits, sizeof power);
    return sum * power;
}

template <typename T>
PH_INLINE vec<T> sigmoid(vec<T> x) {
    return T(1) / (T(1) + exponential<T>(-x));
}

template <typename T>
PH_INLINE vec<T> hyperbolic_tangent(vec<T> x) {
    return T(1) - T(2) / (exponential<T>(x + x) + T(1));
}

// The activations that kernels know; the numbers are those of library.py.
enum class Activation : std::int64_t { identity = 0, relu = 1, sigmoid = 2, tanh = 3, elu = 4, leaky = 5 };

template <typename T, Activation A>
PH_INLINE vec<T> activate(vec<T> x) {
    if constexpr (A == Activation::relu) return x < T(0) ? all<T>(0) : x;
    if constexpr (A == Activation::sigmoid) return sigmoid<T>(x);
    if constexpr (A == Activation::tanh) return hyperbolic_tangent<T>(x);
    if constexpr (A == Activation::elu) return x > T(0) ? x : exponential<T>(x) - T(1);
    if constexpr (A == Activation::leaky) return x < T(0) ? x * T(0.2) : x;
    return x;
}

template <Activation A>
using Named = std::integral_constant<Activation, A>;

// Calls f with the activation as a constant of the compiler, f(Named<A>()); false if it is unknown.
template <typename F>
bool with_activation(std::int64_t code, const F& f) {
    switch (static_cast<Activation>(code)) {
        case Activation::identity: f(Named<Activation::identity>()); return true;
        case Activation::relu: f(Named<Activation::relu>()); return true;
        case Activation::sigmoid: f(Named<Activation::sigmoid>()); return true;
        case Activation::tanh: f(Named<Activation::tanh>()); return true;
        case Activation::elu: f(Named<Activation::elu>()); return true;
        case Activation::leaky: f(Named<Activation::leaky>()); return true;
    }
    return false;
}

// Activates an array in place.
template <typename T>
bool activate_all(std::int64_t code, T* p, std::int64_t count) {
    constexpr int step = Vector<T>::size;
    return with_activation(code, [&](auto f) {
        constexpr Activation A = decltype(f)::value;
        std::int64_t i = 0;
        for (; i + step <= count; i += step) store(p + i, activate<T, A>(load(p + i)));
        if (i == count) return;
        T rest[step] = {};
        std::memcpy(rest, p + i, (count - i) * sizeof(T));
        store(rest, activate<T, A>(load(rest)));
        std::memcpy(p + i, rest, (count - i) * sizeof(T));
    });
}

}  // namespace ph
