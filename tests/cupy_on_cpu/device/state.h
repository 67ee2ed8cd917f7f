// What the parts of the emulated device share.
#pragma once
#include <cuda_runtime_api.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace device {

// In the order of _NAMES in ../counting.py.
enum Counter {
  LAUNCHES, GRAPH_KERNELS, MALLOCS, FREES, H2D, D2H, D2D, MEMSETS, SYNCS, EVENTS, GRAPH_LAUNCHES, BLAS, RANDOM, COUNTERS
};
void tally(Counter what);
void log_launch(const std::string &kernel);

// Remembers the error for cudaGetLastError and the reason for cudaGetErrorString, and returns it.
cudaError_t fail(cudaError_t error, const std::string &reason);
const char *last_reason();

struct Graph {
  // Each node runs its work and returns nothing, or says what went wrong.
  std::vector<std::function<std::string()>> nodes;
};
struct Stream {
  unsigned flags = 0;
  int priority = 0;
  std::unique_ptr<Graph> capture; // set while the stream is capturing
  bool invalidated = false;
};
Stream *stream_of(const void *handle);
// The reason why something can't be done while a stream is capturing; cudaSuccess otherwise. As with
// the real runtime, trying it spoils the capture.
cudaError_t refuse_while_capturing(const char *call);
cudaError_t refuse_legacy_stream_while_capturing(const char *call);
cudaError_t refuse_allocation_while_capturing(const char *call);

// Runs the work now, or records it if the stream is capturing. Says what went wrong, if anything.
std::string enqueue(Stream *stream, std::function<std::string()> work);
// Whether the work now running is a node of a graph that was launched.
bool replaying();

enum class Side { HOST, DEVICE };
Side side_of(const void *pointer);
// Whether [pointer, pointer + bytes) is inside one allocation of device memory.
bool in_device_memory(const void *pointer, size_t bytes);

} // namespace device
