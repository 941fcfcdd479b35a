"""Native kernels behind a C ABI, each beside a reference in torch."""
