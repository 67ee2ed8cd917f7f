// What a compiled kernel tells the device about itself: the one thing both sides include.
#pragma once
#include <cstddef>

namespace on_cpu {

struct Kernel {
  void (*call)(void **arguments); // runs one thread of the kernel
  size_t argument_count;
  const size_t *argument_sizes; // a captured launch copies its arguments
  char *shared_begin, *shared_end; // all static __shared__ memory of the module
};

} // namespace on_cpu
