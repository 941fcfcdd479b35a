// Small multilayer perceptrons, forward and backward: one call for all layers of several networks
// that read the same x.
//
//   h_0 = x,  h_{l+1} = f(W_l h_l + b_l),  y = W_L h_L + b_L
//   d_L = dy,  d_{l-1} = (d_l W_l) * f'(h_l),  dW_l = d_l^T h_l,  db_l = sum of d_l's rows
//
// Rows are cut into blocks by their number alone, and entries of a gradient are summed over the rows
// in ascending order by one task, so that one thread and many give the same bits.
#include <atomic>
#include <vector>

#include "mlp.h"
#include "parallel.h"

namespace ph {

constexpr std::int64_t kBlock = 48;   // rows that pass through all layers together, near the core
constexpr std::int64_t kChunk = 128;  // rows that are summed before they are added to a gradient
constexpr std::int64_t kPart = 48;    // rows of a gradient that one task computes
constexpr std::int64_t kSpan = 512;   // rows whose deltas are held at once

// A layer's weights as the forward pass reads them.
template <typename T>
struct Ready {
    const T *w, *bias;
    std::int64_t w_row;  // of rows for dot products; 0 for panels
};

template <typename T>
Ready<T> ready(const Layer<T>& layer, bool first, std::int64_t n, T*& room) {
    constexpr std::int64_t S = Vector<T>::size;
    const std::int64_t in = layer.in, out = layer.out;
    T* bias = room;
    copy_rows(layer.b, 0, 1, out, bias, 0, up(out, S));
    room += up(out, 16);
    // A dot product takes in / S products of vectors and some three steps to sum them up.
    const bool few = n <= 4 && in >= 2 * S, narrow = out * (in + 3 * S) < in * up(out, S);
    if ((few || narrow) && (!first || in % S == 0)) {
        if (in % S == 0) return {layer.w, bias, in};
        T* rows = room;
        copy_rows(layer.w, in, out, in, rows, lead(in), up(in, S));
        room += lead(in) * out;
        return {rows, bias, lead(in)};
    }
    T* panels = room;
    pack(layer.w, in, out, true, panels);
    room += in * up(out, S);
    return {panels, bias, 0};
}

// All layers for a block of rows.
template <typename T>
void forward_block(
    const Net<T>& net, const Ready<T>* weights, std::int64_t n, std::int64_t first,
    std::int64_t rows, const T* x, T* y, T* kept, std::int64_t widest) {
    constexpr std::int64_t S = Vector<T>::size;
    const Buffer<T> own(2 * rows * widest);  // the layer before, and this one
    const std::int64_t depth = static_cast<std::int64_t>(net.layers.size());
    std::int64_t h_row = net.layers[0].in;
    const T* h = x + first * h_row;
    for (std::int64_t l = 0; l < depth; l++) {
        const Layer<T>& layer = net.layers[l];
        const Ready<T>& at = weights[l];
        const bool last = l + 1 == depth, dotted = at.w_row != 0;
        T* const out = y + first * layer.out;
        T* to = own.get() + l % 2 * rows * widest;
        std::int64_t row = lead(layer.out);
        if (!last && kept != nullptr) to = kept + n * layer.kept + first * row;
        if (last && (dotted || layer.out % S == 0)) to = out, row = layer.out;
        if (dotted)
            dot_product(
                rows, layer.out, up(layer.in, S) / S, h, h_row, at.w, at.w_row, at.bias, to, row);
        else
            product<T, true>(
                rows, layer.out, layer.in, {h, h_row, 1}, {at.w, 0}, at.bias, false, to, row);
        if (!last) activate_rows(net.activation, to, rows, layer.out);
        if (last && to != out) copy_rows(to, row, rows, layer.out, out, layer.out, layer.out);
        h = to, h_row = row;
    }
}

template <typename T>
int forward(
    const std::int64_t* numbers, std::int64_t count, std::int64_t n, const T* x,
    const std::int64_t* outputs, T* kept, std::int64_t threads) {
    return with_memory([&] {
        const Nets<T> nets(numbers, count);
        const Buffer<T> memory(nets.weights);
        T* room = memory.get();
        std::vector<std::vector<Ready<T>>> weights;
        for (const Net<T>& net : nets.all) {
            weights.emplace_back();
            for (const Layer<T>& layer : net.layers)
                weights.back().push_back(ready(layer, &layer == &net.layers[0], n, room));
        }
        std::atomic<bool> fine{true};
        const std::int64_t blocks = (n + kBlock - 1) / kBlock;
        parallel(blocks * count, nets.worth(threads, n, 1), [&](std::int64_t i) {
            const std::int64_t k = i / blocks, first = i % blocks * kBlock;
            const int done = with_memory([&] {
                forward_block(
                    nets.all[k], weights[k].data(), n, first, std::min(kBlock, n - first), x,
                    reinterpret_cast<T*>(outputs[k]), kept, nets.widest);
                return 0;
            });
            if (done != 0) fine = false;
        });
        return fine ? 0 : 2;
    });
}

// The gradient of one layer, or rows of it: of dW, or of its transpose where that wastes fewer lanes.
template <typename T>
struct Part {
    std::int64_t in, out, first, count;  // rows [first, first + count) of dW or its transpose
    bool turned;
    T *dw, *db;  // null where not asked for
    T* sums;     // (count, row), dW itself where that can be written as whole vectors
    std::int64_t row;
    const T *h, *d;  // of the span
    std::int64_t h_row, d_row;
};

// The backward pass of several networks, a span of rows after another: a span's deltas stay in a
// cache between their two uses.
template <typename T>
struct Backward {
    static constexpr std::int64_t S = Vector<T>::size;
    const Nets<T>& nets;
    const std::int64_t n;
    const T *x, *kept;
    const std::int64_t* dy;     // addresses; 0 where an output has no gradient
    const std::int64_t* grads;  // addresses of each layer's dW and db, 0 for one not asked; or null
    T* dx;                      // or null
    std::int64_t from = 0, rows = 0;  // the span
    std::vector<std::vector<const T*>> panels = {};

    const T* output(std::size_t k) const {
        return reinterpret_cast<const T*>(dy[k]) + from * nets.all[k].layers.back().out;
    }
    const T* hidden(const Layer<T>& layer) const {
        return kept + n * layer.kept + from * lead(layer.out);
    }

    // Weights as panels; the first layer's are needed for dx alone.
    void pack_all(T* room) {
        for (const Net<T>& net : nets.all) {
            panels.emplace_back();
            for (const Layer<T>& layer : net.layers) {
                panels.back().push_back(room);
                if (dx == nullptr && &layer == &net.layers[0]) continue;
                pack(layer.w, layer.out, layer.in, false, room);
                room += layer.out * up(layer.in, S);
            }
        }
    }

    // Rows [first, first + count) of the span through all layers of all networks.
    void block(std::int64_t first, std::int64_t count, T* deltas) const {
        const std::int64_t in = nets.all[0].layers[0].in;
        T* sum = dx == nullptr ? nullptr : dx + (from + first) * in;
        if (dx != nullptr) std::fill_n(sum, count * in, T(0));
        for (std::size_t k = 0; k < nets.all.size(); k++) {
            if (dy[k] == 0) continue;
            const Net<T>& net = nets.all[k];
            std::int64_t d_row = net.layers.back().out;
            const T* d = output(k) + first * d_row;
            for (std::int64_t l = static_cast<std::int64_t>(net.layers.size()) - 1; l > 0; l--) {
                const Layer<T>&layer = net.layers[l], &below = net.layers[l - 1];
                const std::int64_t row = lead(layer.in);
                T* to = deltas + rows * below.kept + first * row;
                product<T, true>(
                    count, layer.in, layer.out, {d, d_row, 1}, {panels[k][l], 0}, nullptr, false,
                    to, row);
                slope_rows(net.activation, hidden(below) + first * row, to, count, layer.in);
                d = to, d_row = row;
            }
            if (dx == nullptr) continue;
            const std::int64_t row = up(in, S);
            const Buffer<T> own(count * row);
            product<T, true>(
                count, in, net.layers[0].out, {d, d_row, 1}, {panels[k][0], 0}, nullptr, false,
                own.get(), row);
            for (std::int64_t r = 0; r < count; r++)
                for (std::int64_t i = 0; i < in; i++) sum[r * in + i] += own.get()[r * row + i];
        }
    }

    // The parts of network k; sums that are no vectors of dW's take from `room`.
    void parts(std::size_t k, std::vector<Part<T>>& to, T*& room) const {
        for (const Layer<T>& layer : nets.all[k].layers) {
            const std::int64_t in = layer.in, out = layer.out;
            const bool turned = in * up(out, S) < out * up(in, S), straight = !turned && in % S == 0;
            const std::int64_t height = turned ? in : out, row = up(turned ? out : in, S);
            T* dw = reinterpret_cast<T*>(grads[2 * layer.index]);
            T* db = reinterpret_cast<T*>(grads[2 * layer.index + 1]);
            for (std::int64_t first = 0; first < height; first += kPart) {
                const std::int64_t count = std::min(kPart, height - first);
                T* sums = straight ? dw + first * row : room;
                if (!straight) room += up(count * row, 16);
                to.push_back({in, out, first, count, turned, dw, first == 0 ? db : nullptr, sums,
                              row, nullptr, nullptr, 0, 0});
            }
        }
    }

    // Points the parts of network k at this span; returns those behind. What is read as vectors is
    // padded, in `room` where it was not.
    Part<T>* aim(std::size_t k, const T* deltas, Part<T>* part, T*& room) const {
        const auto& layers = nets.all[k].layers;
        for (std::size_t l = 0; l < layers.size(); l++) {
            const Layer<T>& layer = layers[l];
            const bool bottom = l == 0, top = l + 1 == layers.size();
            const T* h = bottom ? x + from * layer.in : hidden(layers[l - 1]);
            const T* d = top ? output(k) : deltas + rows * layer.kept;
            std::int64_t h_row = bottom ? layer.in : lead(layer.in);
            std::int64_t d_row = top ? layer.out : lead(layer.out);
            if (bottom && !part->turned && layer.in % S != 0) pad(h, h_row, room);
            if (top && part->turned && layer.out % S != 0) pad(d, d_row, room);
            const std::int64_t height = part->turned ? layer.in : layer.out;
            for (std::int64_t first = 0; first < height; first += kPart, part++)
                part->h = h, part->d = d, part->h_row = h_row, part->d_row = d_row;
        }
        return part;
    }

    void pad(const T*& data, std::int64_t& row, T*& room) const {
        copy_rows(data, row, rows, row, room, lead(row), up(row, S));
        data = room, row = lead(row), room += rows * row;
    }

    // Adds this span to a part of a gradient.
    void add(const Part<T>& p) const {
        if (p.db != nullptr) add_bias(p);
        if (p.dw == nullptr) return;
        const T *a = p.turned ? p.h : p.d, *b = p.turned ? p.d : p.h;
        const std::int64_t a_row = p.turned ? p.h_row : p.d_row, b_row = p.turned ? p.d_row : p.h_row;
        for (std::int64_t r = 0; r < rows; r += kChunk)
            product<T, false>(
                p.count, p.turned ? p.out : p.in, std::min(kChunk, rows - r),
                {a + r * a_row + p.first, 1, a_row}, {b + r * b_row, b_row}, nullptr,
                from + r > 0, p.sums, p.row);
        if (from + rows < n) return;
        if (p.turned)
            transposed(p.sums, p.row, p.count, p.out, p.dw + p.first, p.in);
        else if (p.sums != p.dw + p.first * p.in)
            copy_rows(p.sums, p.row, p.count, p.in, p.dw + p.first * p.in, p.in, p.in);
    }

    void add_bias(const Part<T>& p) const {
        if (from == 0) std::fill_n(p.db, p.out, T(0));
        for (std::int64_t r = 0; r < rows; r += kChunk) {
            const std::int64_t count = std::min(kChunk, rows - r);
            const T* d = p.d + r * p.d_row;
            std::int64_t o = 0;
            for (; o + S <= p.out; o += S) {
                vec<T> sum = all<T>(0);
                for (std::int64_t i = 0; i < count; i++) sum += load(d + i * p.d_row + o);
                store(p.db + o, load(p.db + o) + sum);
            }
            for (; o < p.out; o++) {
                T sum = T(0);
                for (std::int64_t i = 0; i < count; i++) sum += d[i * p.d_row + o];
                p.db[o] += sum;
            }
        }
    }

    int run(std::int64_t threads) {
        const std::int64_t span = std::min(n, kSpan), workers = nets.worth(threads, span, 1);
        std::int64_t ends = 0;
        for (const Net<T>& net : nets.all)
            ends += lead(net.layers.front().in) + lead(net.layers.back().out);
        const Buffer<T> weights(nets.weights), deltas(span * nets.kept), copies(span * ends);
        const Buffer<T> sums(grads == nullptr ? 0 : nets.weights);
        pack_all(weights.get());
        std::vector<Part<T>> all_parts;
        T* room = sums.get();
        for (std::size_t k = 0; grads != nullptr && k < nets.all.size(); k++)
            if (dy[k] != 0) parts(k, all_parts, room);
        std::atomic<bool> fine{true};
        for (from = 0; from < n && fine; from += span) {
            rows = std::min(span, n - from);
            parallel((rows + kBlock - 1) / kBlock, workers, [&](std::int64_t i) {
                const std::int64_t first = i * kBlock, count = std::min(kBlock, rows - first);
                const auto work = [&] { return block(first, count, deltas.get()), 0; };
                if (with_memory(work) != 0) fine = false;
            });
            if (all_parts.empty()) continue;
            Part<T>* part = all_parts.data();
            room = copies.get();
            for (std::size_t k = 0; k < nets.all.size(); k++)
                if (dy[k] != 0) part = aim(k, deltas.get(), part, room);
            parallel(static_cast<std::int64_t>(all_parts.size()), workers, [&](std::int64_t i) {
                add(all_parts[i]);
            });
        }
        return fine ? 0 : 2;
    }
};

template <typename T>
int backward(
    const std::int64_t* numbers, std::int64_t count, std::int64_t n, const T* x,
    const std::int64_t* dy, const T* kept, const std::int64_t* grads, T* dx,
    std::int64_t threads) {
    return with_memory([&] {
        const Nets<T> nets(numbers, count);
        return Backward<T>{nets, n, x, kept, dy, grads, dx}.run(threads);
    });
}

}  // namespace ph

// numbers: see Nets. outputs, grad_outputs: addresses of one array a network; grads: of two a layer.
// What belongs to an output without a gradient is not written. n is at least 1.
#define PH_MLP(T, FORWARD, BACKWARD)                                                              \
    PH_API int FORWARD(                                                                           \
        const std::int64_t* numbers, std::int64_t count, std::int64_t n, const T* x,              \
        const std::int64_t* outputs, T* kept, std::int64_t threads) {                             \
        return ph::forward<T>(numbers, count, n, x, outputs, kept, threads);                      \
    }                                                                                             \
    PH_API int BACKWARD(                                                                          \
        const std::int64_t* numbers, std::int64_t count, std::int64_t n, const T* x,              \
        const std::int64_t* grad_outputs, const T* kept, const std::int64_t* grads, T* grad_x,    \
        std::int64_t threads) {                                                                   \
        return ph::backward<T>(                                                                   \
            numbers, count, n, x, grad_outputs, kept, grads, grad_x, threads);                    \
    }
PH_MLP(float, ph_mlp_forward_f32, ph_mlp_backward_f32)
PH_MLP(double, ph_mlp_forward_f64, ph_mlp_backward_f64)
