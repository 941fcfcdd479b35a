// A tree of sums in an array: the root at 1, the children of i at 2 i and 2 i + 1, leaf i at m + i.
#include "vectors.h"

namespace ph {

// Set leaves one after another, then add up what is above them, level by level.
int tree_set(
    std::int64_t m, std::int64_t n, double* tree, const std::int64_t* index, const double* value) {
    for (std::int64_t i = 0; i < n; i++)
        if (index[i] < 0 || index[i] >= m) return 1;
    for (std::int64_t i = 0; i < n; i++) tree[m + index[i]] = value[i];
    // Climbing from each leaf in turn may add up a node before its other child is new; the climb
    // from that child comes later and mends it.
    for (std::int64_t i = 0; i < n; i++)
        for (std::int64_t at = (m + index[i]) / 2; at >= 1; at /= 2)
            tree[at] = tree[2 * at] + tree[2 * at + 1];
    return 0;
}

// Where the sum from the left passes u times the total.
int tree_draw(std::int64_t m, std::int64_t n, const double* tree, const double* u,
              std::int64_t* out) {
    for (std::int64_t i = 0; i < n; i++) {
        double rest = u[i] * tree[1];
        std::int64_t at = 1;
        while (at < m) {
            const double left = tree[2 * at];
            // Rounding may ask for more than is there: never go where nothing lies.
            const bool right = rest >= left && tree[2 * at + 1] > 0;
            if (right) rest -= left;
            at = 2 * at + right;
        }
        out[i] = at - m;
    }
    return 0;
}

}  // namespace ph

PH_API int ph_tree_set_f64(
    std::int64_t m, std::int64_t n, double* tree, const std::int64_t* index, const double* value) {
    return ph::tree_set(m, n, tree, index, value);
}
PH_API int ph_tree_draw_f64(
    std::int64_t m, std::int64_t n, const double* tree, const double* u, std::int64_t* out) {
    return ph::tree_draw(m, n, tree, u, out);
}
