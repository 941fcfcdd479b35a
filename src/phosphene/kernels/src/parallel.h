// Independent tasks on a few threads.
//
// Which thread runs a task cannot change its result: tasks share nothing and are cut by the
// problem's size alone, so one thread and many give the same bits. Threads live as long as the
// call: starting one takes some ten microseconds where kernels run for milliseconds, and nothing
// is left behind that a fork or the end of the interpreter could hurt. There is no OpenMP: torch
// brings its own, and two such runtimes in one process do not agree.
#pragma once
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace ph {

// Runs f(0), ..., f(tasks - 1); f must not throw.
template <typename F>
void parallel(std::int64_t tasks, std::int64_t threads, const F& f) {
    std::atomic<std::int64_t> next{0};
    const auto work = [&] {
        for (std::int64_t i = next++; i < tasks; i = next++) f(i);
    };
    std::vector<std::thread> helpers;
    try {
        for (std::int64_t t = 1; t < threads && t < tasks; t++) helpers.emplace_back(work);
    } catch (const std::system_error&) {
        // No more threads to be had: those that run do the work.
    }
    work();
    for (auto& helper : helpers) helper.join();
}

}  // namespace ph
