// Running the blocks of a launch.
#pragma once
#include "../kernel/launch_record.h"
#include <cstdint>
#include <string>

namespace device {

// Of a block: without asking for more, and at most.
constexpr size_t SHARED_BYTES = 48 << 10, SHARED_BYTES_AT_MOST = 227 << 10;

enum Order { FORWARD, REVERSE, SHUFFLED };
struct Launch {
  unsigned grid[3], block[3];
  size_t dynamic_shared;
  bool suspends; // the kernel has barriers or warp primitives
  bool lenient;  // a barrier doesn't wait for threads that have returned
};
// In which order threads run between two barriers, and blocks in a launch.
void set_order(Order order, uint64_t seed);
// Runs all blocks. Returns what went wrong, or an empty string.
std::string run_blocks(const on_cpu::Kernel &kernel, const Launch &launch, void **arguments);

} // namespace device
