// Three convolutions with an activation after the first two: the network of an image coupling.
//
//   y = W_3 * f(W_2 * f(W_1 * x + b_1) + b_2) + b_3
//
// Planes of channels lie one after another, each with its rows p zeros apart, p = the largest of the
// sides // 2: what is right of a row is left of the next. In such a plane a tap is a shift of all
// pixels alike, so vectors run along the pixels, whatever the number of channels, and images that
// are smaller than vectors lie in one plane together. A block of four outputs by a few vectors stays
// in registers through all inputs and taps. Where the next convolution looks beyond a row, the
// zeros, which became sums, are made zeros again.
#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

#include "parallel.h"
#include "vectors.h"

namespace ph {

constexpr std::int64_t kOutputs = 4;  // of a block; image_net.py pads to it

template <typename T>
struct ImageNet {
    std::int64_t channels, hidden, outputs, sides[3], activation;
    std::int64_t n, height, width, x_image;  // from one image of x to the next
    const T* packed;                         // of each layer: biases, then (blocks, C, k k, 4)
    const T *x, *more[2];                    // (n, hidden) that add to the biases, or null
    T* out;                                  // (n, outputs, h, w)

    std::int64_t pad() const { return std::max({sides[0], sides[1], sides[2]}) / 2; }
};

PH_INLINE std::int64_t padded(std::int64_t outputs) {
    return (outputs + kOutputs - 1) / kOutputs * kOutputs;
}

// A few images in planes.
template <typename T>
struct Planes {
    const ImageNet<T>& m;
    const std::int64_t first, count, p, row, image, lead, used, vectors, plane;
    std::vector<T> in, one, two;
    std::vector<std::int64_t> shifts;

    Planes(const ImageNet<T>& m, std::int64_t first, std::int64_t count)
        : m(m), first(first), count(count), p(m.pad()), row(m.width + p),
          image((m.height + p) * row), lead(p * row + p), used(count * image - lead),
          vectors((used + Vector<T>::size - 1) / Vector<T>::size),
          plane(2 * lead + vectors * Vector<T>::size), in(m.channels * plane, T(0)),
          one(std::max(padded(m.hidden), padded(m.outputs)) * plane, T(0)),
          two(padded(m.hidden) * plane, T(0)) {}

    void run() {
        for (std::int64_t i = 0; i < count; i++)
            for (std::int64_t c = 0; c < m.channels; c++)
                for (std::int64_t y = 0; y < m.height; y++)
                    std::copy_n(
                        m.x + (first + i) * m.x_image + (c * m.height + y) * m.width, m.width,
                        &in[c * plane + lead + i * image + y * row]);
        const T* weights = m.packed;
        weights = layer(in, m.channels, one, m.hidden, weights, 0);
        weights = layer(one, m.hidden, two, m.hidden, weights, 1);
        layer(two, m.hidden, one, m.outputs, weights, 2);
        for (std::int64_t i = 0; i < count; i++)
            for (std::int64_t c = 0; c < m.outputs; c++)
                for (std::int64_t y = 0; y < m.height; y++)
                    std::copy_n(
                        &one[c * plane + lead + i * image + y * row], m.width,
                        m.out + (((first + i) * m.outputs + c) * m.height + y) * m.width);
    }

    // Returns where the next layer's numbers begin.
    const T* layer(
        const std::vector<T>& from, std::int64_t inputs, std::vector<T>& to, std::int64_t outputs,
        const T* numbers, int which) {
        const std::int64_t side = m.sides[which], blocks = padded(outputs) / kOutputs;
        std::vector<T> bias(numbers, numbers + blocks * kOutputs);
        if (which < 2 && m.more[which] != nullptr)
            for (std::int64_t o = 0; o < outputs; o++)
                bias[o] += m.more[which][first * m.hidden + o];
        shifts.clear();
        for (std::int64_t y = -(side / 2); y <= side / 2; y++)
            for (std::int64_t x = -(side / 2); x <= side / 2; x++) shifts.push_back(y * row + x);
        const T* weights = numbers + blocks * kOutputs;
        const bool relu = which < 2 && m.activation == static_cast<std::int64_t>(Activation::relu);
        relu ? convolve<true>(&from[lead], inputs, &to[lead], blocks, weights, bias.data())
             : convolve<false>(&from[lead], inputs, &to[lead], blocks, weights, bias.data());
        if (which < 2) {
            if (!relu) activate_all<T>(m.activation, to.data(), outputs * plane);
            if (m.sides[which + 1] > 1) clear(to, outputs);
        }
        return weights + blocks * inputs * side * side * kOutputs;
    }

    template <bool Relu>
    void convolve(
        const T* from, std::int64_t inputs, T* to, std::int64_t blocks, const T* weights,
        const T* bias) const {
#if defined(__AVX512F__)
        constexpr int P = 4;
#else
        constexpr int P = 2;
#endif
        std::int64_t v = 0;
        for (; v + P <= vectors; v += P) at<P, Relu>(v, from, inputs, to, blocks, weights, bias);
        if constexpr (P == 4) {
            if (v + 3 == vectors) at<3, Relu>(v, from, inputs, to, blocks, weights, bias), v += 3;
            if (v + 2 == vectors) at<2, Relu>(v, from, inputs, to, blocks, weights, bias), v += 2;
        }
        if (v < vectors) at<1, Relu>(v, from, inputs, to, blocks, weights, bias);
    }

    // P vectors of pixels of all outputs.
    template <int P, bool Relu>
    void at(
        std::int64_t v, const T* from, std::int64_t inputs, T* to, std::int64_t blocks,
        const T* w, const T* bias) const {
        constexpr int S = Vector<T>::size, K = kOutputs;
        const std::int64_t taps = static_cast<std::int64_t>(shifts.size()), *shift = shifts.data();
        for (std::int64_t b = 0; b < blocks; b++) {
            vec<T> sum[K][P];
            for (int k = 0; k < K; k++)
                for (int i = 0; i < P; i++) sum[k][i] = all<T>(bias[b * K + k]);
            for (std::int64_t c = 0; c < inputs; c++) {
                const T* source = from + c * plane + v * S;
                for (std::int64_t t = 0; t < taps; t++, w += K) {
                    const T* seen = source + shift[t];
                    vec<T> x[P];
                    for (int i = 0; i < P; i++) x[i] = load(seen + i * S);
                    for (int k = 0; k < K; k++)
                        for (int i = 0; i < P; i++) sum[k][i] += w[k] * x[i];
                }
            }
            for (int k = 0; k < K; k++)
                for (int i = 0; i < P; i++) {
                    const vec<T> y = sum[k][i];
                    store(
                        to + (b * K + k) * plane + (v + i) * S,
                        Relu ? activate<T, Activation::relu>(y) : y);
                }
        }
    }

    // Makes what lies around and between the rows of images zero again.
    void clear(std::vector<T>& of, std::int64_t channels) const {
        for (std::int64_t c = 0; c < channels; c++) {
            T* of_channel = &of[c * plane];
            std::fill_n(of_channel, lead, T(0));
            std::fill(of_channel + lead + used, of_channel + plane, T(0));
            for (std::int64_t i = 0; i < count; i++) {
                T* start = of_channel + lead + i * image;
                for (std::int64_t y = 0; y < m.height; y++)
                    std::fill_n(start + y * row + m.width, p, T(0));
                if (i + 1 < count) std::fill(start + m.height * row, start + image, T(0));
            }
        }
    }
};

template <typename T>
int apply_image_net(const ImageNet<T>& m, std::int64_t threads) {
    // Planes of several hundred pixels fill the vectors and fit the nearest caches. Images with
    // biases of their own are alone.
    const std::int64_t p = m.pad(), pixels = (m.height + p) * (m.width + p);
    const bool alone = m.more[0] != nullptr || m.more[1] != nullptr;
    const std::int64_t together = alone ? 1 : std::max<std::int64_t>(1, 512 / pixels);
    // A thread costs as much as some hundred thousand products.
    const std::int64_t products = m.n * m.height * m.width * m.hidden *
        (m.channels * m.sides[0] * m.sides[0] + m.hidden * m.sides[1] * m.sides[1] +
         m.outputs * m.sides[2] * m.sides[2]);
    threads = std::min(threads, products / 2000000 + 1);
    std::atomic<bool> fine{true};
    parallel((m.n + together - 1) / together, threads, [&](std::int64_t i) {
        try {
            Planes<T>(m, i * together, std::min(together, m.n - i * together)).run();
        } catch (const std::bad_alloc&) {
            fine = false;
        }
    });
    return fine ? 0 : 2;
}

}  // namespace ph

#define PH_IMAGE_NET(T, NAME)                                                                   \
    PH_API int NAME(                                                                            \
        std::int64_t channels, std::int64_t hidden, std::int64_t outputs, std::int64_t side_1,  \
        std::int64_t side_2, std::int64_t side_3, std::int64_t activation, const T* packed,     \
        std::int64_t n, std::int64_t height, std::int64_t width, std::int64_t x_image,          \
        const T* x, const T* more_first,                                                        \
        const T* more_second, std::int64_t threads, T* out) {                                   \
        const ph::ImageNet<T> net{                                                              \
            channels, hidden, outputs, {side_1, side_2, side_3}, activation,                    \
            n, height, width, x_image, packed, x, {more_first, more_second}, out};              \
        return ph::apply_image_net<T>(net, threads);                                            \
    }
PH_IMAGE_NET(float, ph_image_net_f32)
PH_IMAGE_NET(double, ph_image_net_f64)
