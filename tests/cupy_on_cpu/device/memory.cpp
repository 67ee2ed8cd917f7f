// Device memory, which is host memory, and copies. Every address that is given to a copy as device
// memory is checked against the allocations.
#include "state.h"
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace device {
namespace {

constexpr size_t TOTAL_BYTES = 8ull << 30;
constexpr size_t ALIGNMENT = 512;

std::mutex lock;
std::map<uintptr_t, size_t> allocations; // of the device, by address
std::map<uintptr_t, size_t> pinned;
size_t used = 0;

bool within(const std::map<uintptr_t, size_t> &blocks, const void *pointer, size_t bytes) {
  const uintptr_t at = (uintptr_t)pointer;
  auto next = blocks.upper_bound(at);
  if (next == blocks.begin()) return false;
  --next;
  return at + bytes <= next->first + next->second && at < next->first + next->second;
}

cudaError_t allocate(void **pointer, size_t bytes) {
  std::lock_guard<std::mutex> hold(lock);
  const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  void *fresh = used + rounded > TOTAL_BYTES ? nullptr : aligned_alloc(ALIGNMENT, rounded);
  if (!fresh) return fail(cudaErrorMemoryAllocation, "the emulated device has 8 GiB of memory");
  memset(fresh, 0xFF, rounded); // what is read before it is written is NaN
  allocations[(uintptr_t)fresh] = bytes;
  used += rounded;
  *pointer = fresh;
  tally(MALLOCS);
  return cudaSuccess;
}

cudaError_t release(void *pointer) {
  if (!pointer) return cudaSuccess;
  std::lock_guard<std::mutex> hold(lock);
  auto found = allocations.find((uintptr_t)pointer);
  if (found == allocations.end()) return fail(cudaErrorInvalidValue, "this address was not allocated");
  used -= (found->second + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  allocations.erase(found);
  free(pointer);
  tally(FREES);
  return cudaSuccess;
}

struct Copy {
  char *to;
  size_t to_pitch;
  const char *from;
  size_t from_pitch, width, height;
  size_t to_bytes() const { return height ? (height - 1) * to_pitch + width : 0; }
  size_t from_bytes() const { return height ? (height - 1) * from_pitch + width : 0; }
};

std::string run(const Copy &c, Counter kind) {
  tally(kind);
  for (size_t row = 0; row < c.height; row++)
    memmove(c.to + row * c.to_pitch, c.from + row * c.from_pitch, c.width);
  return "";
}

// Which way a copy goes, checked against what is known of its addresses.
cudaError_t direction(const Copy &c, cudaMemcpyKind kind, Counter *counter) {
  if (kind == cudaMemcpyDefault) {
    const bool from_device = side_of(c.from) == Side::DEVICE, to_device = side_of(c.to) == Side::DEVICE;
    kind = from_device ? (to_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
                       : (to_device ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
  }
  const bool reads_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool writes_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool empty = !c.width || !c.height;
  if (kind == cudaMemcpyHostToHost) return fail(cudaErrorInvalidValue, "a copy from host to host");
  if (!empty && reads_device && !in_device_memory(c.from, c.from_bytes()))
    return fail(cudaErrorInvalidValue, "the source of a copy is not inside device memory");
  if (!empty && writes_device && !in_device_memory(c.to, c.to_bytes()))
    return fail(cudaErrorInvalidValue, "the destination of a copy is not inside device memory");
  *counter = reads_device ? (writes_device ? D2D : D2H) : H2D;
  return cudaSuccess;
}

cudaError_t copy_now(const Copy &c, cudaMemcpyKind kind) {
  Counter counter;
  if (auto error = direction(c, kind, &counter)) return error;
  if (auto error = refuse_legacy_stream_while_capturing("a synchronous copy")) return error;
  if (counter != D2D) tally(SYNCS); // the host waits for the device
  run(c, counter);
  return cudaSuccess;
}

cudaError_t copy_later(const Copy &c, cudaMemcpyKind kind, cudaStream_t stream) {
  Counter counter;
  if (auto error = direction(c, kind, &counter)) return error;
  const std::string problem = enqueue(stream_of(stream), [=] { return run(c, counter); });
  return problem.empty() ? cudaSuccess : fail(cudaErrorStreamCaptureImplicit, problem);
}

cudaError_t check_set(void *p, size_t n) {
  if (n && !in_device_memory(p, n)) return fail(cudaErrorInvalidValue, "memset outside device memory");
  return cudaSuccess;
}

} // namespace

Side side_of(const void *pointer) {
  std::lock_guard<std::mutex> hold(lock);
  return within(allocations, pointer, 1) ? Side::DEVICE : Side::HOST;
}

bool in_device_memory(const void *pointer, size_t bytes) {
  std::lock_guard<std::mutex> hold(lock);
  return within(allocations, pointer, bytes);
}

} // namespace device

using namespace device;

extern "C" {

cudaError_t cudaMalloc(void **p, size_t n) {
  if (auto error = refuse_allocation_while_capturing("cudaMalloc")) return error;
  return allocate(p, n);
}
cudaError_t cudaMallocManaged(void **p, size_t n, unsigned) { return cudaMalloc(p, n); }
cudaError_t cudaMallocAsync(void **p, size_t n, cudaStream_t stream) {
  if (stream_of(stream)->capture) return refuse_while_capturing("cudaMallocAsync on that stream");
  return allocate(p, n);
}
cudaError_t cudaFree(void *p) {
  if (p)
    if (auto error = refuse_allocation_while_capturing("cudaFree")) return error;
  return release(p);
}
cudaError_t cudaFreeAsync(void *p, cudaStream_t stream) {
  if (stream_of(stream)->capture) return refuse_while_capturing("cudaFreeAsync on that stream");
  return release(p);
}
cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  std::lock_guard<std::mutex> hold(lock);
  *total = TOTAL_BYTES;
  *available = TOTAL_BYTES - used;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **p, size_t n, unsigned) {
  std::lock_guard<std::mutex> hold(lock);
  *p = aligned_alloc(ALIGNMENT, (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  if (!*p) return fail(cudaErrorMemoryAllocation, "no host memory is left");
  pinned[(uintptr_t)*p] = n;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void *p) {
  std::lock_guard<std::mutex> hold(lock);
  if (p && !pinned.erase((uintptr_t)p)) return fail(cudaErrorInvalidValue, "not pinned memory");
  free(p);
  return cudaSuccess;
}
// Pinning changes nothing here but the speed that a GPU would have.
cudaError_t cudaHostRegister(void *, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void *) { return cudaSuccess; }

cudaError_t cudaMemcpy(void *to, const void *from, size_t n, cudaMemcpyKind kind) {
  return copy_now({(char *)to, n, (const char *)from, n, n, 1}, kind);
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind kind, cudaStream_t s) {
  return copy_later({(char *)to, n, (const char *)from, n, n, 1}, kind, s);
}
cudaError_t cudaMemcpyPeer(void *to, int, const void *from, int, size_t n) {
  return cudaMemcpy(to, from, n, cudaMemcpyDeviceToDevice);
}
cudaError_t cudaMemcpyPeerAsync(void *to, int, const void *from, int, size_t n, cudaStream_t s) {
  return cudaMemcpyAsync(to, from, n, cudaMemcpyDeviceToDevice, s);
}
cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                         size_t height, cudaMemcpyKind kind) {
  return copy_now({(char *)to, to_pitch, (const char *)from, from_pitch, width, height}, kind);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t s) {
  return copy_later({(char *)to, to_pitch, (const char *)from, from_pitch, width, height}, kind, s);
}
cudaError_t cudaMemset(void *p, int value, size_t n) {
  if (auto error = check_set(p, n)) return error;
  if (auto error = refuse_legacy_stream_while_capturing("cudaMemset")) return error;
  tally(MEMSETS);
  memset(p, value, n);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t s) {
  if (auto error = check_set(p, n)) return error;
  const std::string problem = enqueue(stream_of(s), [=] {
    tally(MEMSETS);
    memset(p, value, n);
    return "";
  });
  return problem.empty() ? cudaSuccess : fail(cudaErrorStreamCaptureImplicit, problem);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *a, const void *p) {
  std::lock_guard<std::mutex> hold(lock);
  *a = {};
  a->type = within(allocations, p, 1) ? cudaMemoryTypeDevice
            : within(pinned, p, 1)    ? cudaMemoryTypeHost
                                      : cudaMemoryTypeUnregistered;
  if (a->type != cudaMemoryTypeUnregistered) a->devicePointer = (void *)p;
  if (a->type != cudaMemoryTypeDevice) a->hostPointer = (void *)p;
  return cudaSuccess;
}

} // extern "C"
