// Products of small matrices by tiles that stay in registers.
//
// An entry is summed over k in ascending order by one accumulator, whatever the tile in which it
// lies: how a product is cut changes no bit of it.
#pragma once
#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "vectors.h"

namespace ph {

#if defined(__AVX512F__)
constexpr int kTileRows = 12;  // with two vectors each: 24 sums of the 32 registers
#else
constexpr int kTileRows = 6;  // 12 of the 16
#endif

constexpr std::int64_t up(std::int64_t length, std::int64_t to) { return (length + to - 1) / to * to; }

// Memory that is aligned to a cache line and not initialized.
template <typename T>
class Buffer {
    static constexpr std::align_val_t line{64};
    T* data;

  public:
    explicit Buffer(std::int64_t count)
        : data(static_cast<T*>(::operator new(std::max<std::int64_t>(count, 1) * sizeof(T), line))) {}
    ~Buffer() { ::operator delete(data, line); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    T* get() const { return data; }
};

// Left factors, read as scalars: a(m, k) = data[m * row + k * column], row or column being 1.
template <typename T>
struct Left {
    const T* data;
    std::int64_t row, column;
};

// Right factors, read as vectors: panels of two vectors' columns (the last may have one), each K
// rows; or, with a distance between rows, a matrix as it is.
template <typename T>
struct Right {
    const T* data;
    std::int64_t row;  // 0 for panels
};

// M rows by V vectors of c: = bias + a b, or += a b. Across: a is read along k (column = 1).
template <typename T, int M, int V, bool Across>
void tile(
    const T* a, std::int64_t step, const T* b, std::int64_t b_row, std::int64_t length,
    const T* bias, bool add, T* c, std::int64_t c_row) {
    constexpr int S = Vector<T>::size, G = (M + 2) / 3;
    vec<T> sum[M][V];
    for (int v = 0; v < V; v++) {
        const vec<T> start = bias == nullptr ? all<T>(0) : load(bias + v * S);
        for (int m = 0; m < M; m++) sum[m][v] = start;
    }
    // A pointer for three rows: more would not fit the registers for addresses.
    const T* at[G];
    for (int g = 0; g < G; g++) at[g] = a + 3 * g * (Across ? step : 1);
    const std::int64_t twice = 2 * step;
    for (std::int64_t k = 0; k < length; k++, b += b_row) {
        vec<T> right[V];
        for (int v = 0; v < V; v++) right[v] = load(b + v * S);
        for (int m = 0; m < M; m++) {
            const T* p = at[m / 3];
            const T left = !Across ? a[m] : m % 3 == 0 ? p[0] : m % 3 == 1 ? p[step] : p[twice];
            for (int v = 0; v < V; v++) sum[m][v] += left * right[v];
        }
        if constexpr (Across)
            for (int g = 0; g < G; g++) at[g]++;
        else
            a += step;
    }
    for (int m = 0; m < M; m++)
        for (int v = 0; v < V; v++) {
            T* to = c + m * c_row + v * S;
            store(to, add ? load(to) + sum[m][v] : sum[m][v]);
        }
}

template <typename T>
using Tile = void (*)(
    const T*, std::int64_t, const T*, std::int64_t, std::int64_t, const T*, bool, T*, std::int64_t);

template <typename T, int V, bool Across, int... M>
constexpr std::array<Tile<T>, sizeof...(M)> tiles(std::integer_sequence<int, M...>) {
    return {tile<T, M + 1, V, Across>...};
}

// c (rows, columns, whole vectors) = bias + a b, or += a b, over `length` values of k.
template <typename T, bool Across>
void product(
    std::int64_t rows, std::int64_t columns, std::int64_t length, Left<T> a, Right<T> b,
    const T* bias, bool add, T* c, std::int64_t c_row) {
    constexpr std::int64_t S = Vector<T>::size;
    constexpr auto numbers = std::make_integer_sequence<int, kTileRows>();
    static constexpr auto one = tiles<T, 1, Across>(numbers), two = tiles<T, 2, Across>(numbers);
    const std::int64_t count = (rows + kTileRows - 1) / kTileRows;
    for (std::int64_t v = 0; v < columns; v += 2 * S) {
        const bool pair = columns - v > S;
        const T* panel = b.data + (b.row == 0 ? v * length : v);
        const std::int64_t b_row = b.row != 0 ? b.row : pair ? 2 * S : S;
        // Tiles of about equal heights: a low one would wait for its own sums.
        for (std::int64_t t = 0, m = 0; t < count; t++) {
            const std::int64_t height = rows / count + (t < rows % count);
            (pair ? two : one)[height - 1](
                a.data + m * a.row, Across ? a.row : a.column, panel, b_row, length,
                bias == nullptr ? nullptr : bias + v, add, c + m * c_row + v, c_row);
            m += height;
        }
    }
}

template <typename T, int... I>
PH_INLINE vec<T> shuffle(vec<T> a, vec<T> b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, I...);
#else
    return __builtin_shuffle(a, b, typename Vector<T>::integers{I...});
#endif
}

// The indices of one half of an exchange at distance D (Low or not) among 2 S entries.
template <int D, bool Low, int... L>
constexpr auto exchange(std::integer_sequence<int, L...>) {
    constexpr int S = sizeof...(L);
    return std::integer_sequence<
        int, (Low ? ((L & D) == 0 ? L : S + L - D) : ((L & D) == 0 ? L + D : S + L))...>();
}

// Transposes a square of vectors.
template <typename T, int D = Vector<T>::size / 2>
PH_INLINE void transpose(vec<T>* a) {
    constexpr int S = Vector<T>::size;
    constexpr auto lanes = std::make_integer_sequence<int, S>();
#pragma GCC unroll 16
    for (int i = 0; i < S; i++) {
        if ((i & D) != 0) continue;
        const vec<T> low = shuffle<T>(a[i], a[i + D], exchange<D, true>(lanes));
        a[i + D] = shuffle<T>(a[i], a[i + D], exchange<D, false>(lanes));
        a[i] = low;
    }
    if constexpr (D > 1) transpose<T, D / 2>(a);
}

// to[j][i] = from[i][j] for i < rows, j < columns.
template <typename T>
void transposed(
    const T* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, T* to,
    std::int64_t to_row) {
    constexpr int S = Vector<T>::size;
    for (std::int64_t i = 0; i < rows; i += S)
        for (std::int64_t j = 0; j < columns; j += S) {
            if (i + S <= rows && j + S <= columns) {
                vec<T> a[S];
                for (int r = 0; r < S; r++) a[r] = load(from + (i + r) * from_row + j);
                transpose<T>(a);
                for (int r = 0; r < S; r++) store(to + (j + r) * to_row + i, a[r]);
                continue;
            }
            for (std::int64_t r = i; r < std::min(i + S, rows); r++)
                for (std::int64_t c = j; c < std::min(j + S, columns); c++)
                    to[c * to_row + r] = from[r * from_row + c];
        }
}

// Copies rows, and fills each with zeros up to `padded`.
template <typename T>
void copy_rows(
    const T* from, std::int64_t from_row, std::int64_t rows, std::int64_t columns, T* to,
    std::int64_t to_row, std::int64_t padded) {
    for (std::int64_t r = 0; r < rows; r++) {
        std::copy_n(from + r * from_row, columns, to + r * to_row);
        std::fill(to + r * to_row + columns, to + r * to_row + padded, T(0));
    }
}

// Panels of the matrix w (length, columns), or of its transpose where w is (columns, length).
// They take length * up(columns, S) numbers.
template <typename T>
void pack(const T* w, std::int64_t length, std::int64_t columns, bool transpose_it, T* panels) {
    constexpr std::int64_t S = Vector<T>::size;
    for (std::int64_t v = 0; v < columns; v += 2 * S) {
        const std::int64_t width = columns - v > S ? 2 * S : S, here = std::min(width, columns - v);
        T* panel = panels + v * length;
        if (!transpose_it) {
            copy_rows(w + v, columns, length, here, panel, width, width);
            continue;
        }
        transposed(w + v * length, length, here, length, panel, width);
        if (here < width)
            for (std::int64_t k = 0; k < length; k++)
                std::fill(panel + k * width + here, panel + (k + 1) * width, T(0));
    }
}

// Folds S vectors into one that holds their totals, in order.
template <typename T, int D = Vector<T>::size / 2>
PH_INLINE vec<T> totals(vec<T>* a) {
    constexpr int S = Vector<T>::size;
    constexpr auto lanes = std::make_integer_sequence<int, S>();
    // Vectors i and i + D meet, so that lane i is that of vector i in the end.
#pragma GCC unroll 16
    for (int i = 0; i < D; i++)
        a[i] = shuffle<T>(a[i], a[i + D], exchange<D, true>(lanes)) +
            shuffle<T>(a[i], a[i + D], exchange<D, false>(lanes));
    if constexpr (D > 1) return totals<T, D / 2>(a);
    return a[0];
}

// c[r][o] = bias[o] + a_r . w_o by dot products; rows of a and w are whole vectors. It reads w as
// it is, and wastes no lanes on few columns.
template <typename T, int O>
void dots(
    std::int64_t rows, std::int64_t vectors, const T* a, std::int64_t a_row, const T* w,
    std::int64_t w_row, const T* bias, T* c, std::int64_t c_row) {
    constexpr int S = Vector<T>::size, R = S / O;
    for (std::int64_t first = 0; first < rows; first += R) {
        const T* row[R];
        for (int r = 0; r < R; r++) row[r] = a + std::min(first + r, rows - 1) * a_row;
        vec<T> sum[S];
        for (int i = 0; i < S; i++) sum[i] = all<T>(0);
        for (std::int64_t k = 0; k < vectors * S; k += S)
            for (int o = 0; o < O; o++) {
                const vec<T> right = load(w + o * w_row + k);
                for (int r = 0; r < R; r++) sum[r * O + o] += right * load(row[r] + k);
            }
        T out[S];
        store(out, totals<T>(sum));
        for (int r = 0; r < R && first + r < rows; r++)
            for (int o = 0; o < O; o++) c[(first + r) * c_row + o] = out[r * O + o] + bias[o];
    }
}

// The same for any number of columns.
template <typename T>
void dot_product(
    std::int64_t rows, std::int64_t columns, std::int64_t vectors, const T* a, std::int64_t a_row,
    const T* w, std::int64_t w_row, const T* bias, T* c, std::int64_t c_row) {
    constexpr int most = Vector<T>::size < 4 ? Vector<T>::size : 4;
    for (std::int64_t o = 0; o < columns;) {
        const T* from = w + o * w_row;
        const std::int64_t left = columns - o;
        if (left >= most) {
            dots<T, most>(rows, vectors, a, a_row, from, w_row, bias + o, c + o, c_row), o += most;
        } else if (left >= 2) {
            dots<T, 2>(rows, vectors, a, a_row, from, w_row, bias + o, c + o, c_row), o += 2;
        } else {
            dots<T, 1>(rows, vectors, a, a_row, from, w_row, bias + o, c + o, c_row), o += 1;
        }
    }
}

}  // namespace ph
