// The device's description, its counters and its errors.
#include "block.h"
#include "state.h"
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace device {
namespace {

std::atomic<unsigned long long> counts[COUNTERS];
std::mutex log_lock;
std::string launch_names; // since somebody began to count
int counting = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local std::string reason;

} // namespace

void tally(Counter what) { counts[what]++; }
void log_launch(const std::string &kernel) {
  std::lock_guard<std::mutex> hold(log_lock);
  if (counting) launch_names += kernel + "\n";
}
cudaError_t fail(cudaError_t error, const std::string &why) {
  last_error = error;
  reason = why;
  return error;
}
const char *last_reason() { return reason.c_str(); }

} // namespace device

using namespace device;

extern "C" {

// --- for counting.py -----------------------------------------------------------------------------
void on_cpu_read_counters(unsigned long long *out) {
  for (int i = 0; i < COUNTERS; i++) out[i] = counts[i];
}
// Launches are logged between begin and end, which may nest. Returns the length of the log so far.
size_t on_cpu_begin_log() {
  std::lock_guard<std::mutex> hold(log_lock);
  counting++;
  return launch_names.size();
}
void on_cpu_end_log() {
  std::lock_guard<std::mutex> hold(log_lock);
  if (--counting == 0) launch_names.clear();
}
// The names logged since `start`, a line each. Valid until the next call.
const char *on_cpu_launch_names(size_t start) {
  static thread_local std::string names;
  std::lock_guard<std::mutex> hold(log_lock);
  names = launch_names.substr(start);
  return names.c_str();
}
void on_cpu_set_order(int order, unsigned long long seed) { set_order((Order)order, seed); }

// --- errors --------------------------------------------------------------------------------------
// Called by the calls that build.py makes for whatever else CuPy asks of the runtime.
cudaError_t on_cpu_refuse_runtime(const char *call) {
  return fail(cudaErrorNotSupported, std::string(call) + " is not emulated on the CPU");
}
const char *cudaGetErrorName(cudaError_t e) {
  switch (e) {
  case cudaSuccess: return "cudaSuccess";
  case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
  case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
  case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
  case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
  case cudaErrorIllegalState: return "cudaErrorIllegalState";
  case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  case cudaErrorNotSupported: return "cudaErrorNotSupported";
  case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
  case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
  case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
  case cudaErrorCapturedEvent: return "cudaErrorCapturedEvent";
  default: return "cudaError";
  }
}
const char *cudaGetErrorString(cudaError_t) { return last_reason(); }
cudaError_t cudaGetLastError() {
  const cudaError_t e = last_error;
  last_error = cudaSuccess;
  return e;
}

// --- the one device ------------------------------------------------------------------------------
cudaError_t cudaDriverGetVersion(int *v) { *v = CUDART_VERSION; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *v) { *v = CUDART_VERSION; return cudaSuccess; }
cudaError_t cudaGetDevice(int *d) { *d = 0; return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *n) { *n = 1; return cudaSuccess; }
cudaError_t cudaSetDevice(int d) {
  return d == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice, "there is one emulated device, number 0");
}
cudaError_t cudaDeviceGetPCIBusId(char *s, int n, int) {
  snprintf(s, n, "0000:00:00.0");
  return cudaSuccess;
}
cudaError_t cudaDeviceGetByPCIBusId(int *d, const char *) { *d = 0; return cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int *can, int, int) { *can = 0; return cudaSuccess; }

cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int) {
  switch (a) {
  case cudaDevAttrComputeCapabilityMajor: *v = 9; return cudaSuccess;
  case cudaDevAttrComputeCapabilityMinor: *v = 0; return cudaSuccess;
  case cudaDevAttrMultiProcessorCount: *v = 4; return cudaSuccess;
  case cudaDevAttrMaxThreadsPerBlock: *v = 1024; return cudaSuccess;
  case cudaDevAttrMaxThreadsPerMultiProcessor: *v = 2048; return cudaSuccess;
  case cudaDevAttrWarpSize: *v = 32; return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlock: *v = SHARED_BYTES; return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin: *v = SHARED_BYTES_AT_MOST; return cudaSuccess;
  case cudaDevAttrManagedMemory: *v = 1; return cudaSuccess;
  // CuPy asks for these to describe the device. Nobody is to compute with them.
  case cudaDevAttrClockRate:
  case cudaDevAttrMemoryClockRate:
  case cudaDevAttrComputeMode:
  case cudaDevAttrKernelExecTimeout:
  case cudaDevAttrGpuOverlap:
  case cudaDevAttrMaxTexture1DLinearWidth:
  case cudaDevAttrSingleToDoublePrecisionPerfRatio: *v = 0; return cudaSuccess;
  case cudaDevAttrMemoryPoolsSupported: *v = 0; return cudaSuccess;
  case cudaDevAttrCooperativeLaunch: *v = 0; return cudaSuccess;
  default: return fail(cudaErrorInvalidValue, "this device attribute is not emulated");
  }
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
  if (auto error = cudaSetDevice(device)) return error;
  memset(p, 0, sizeof *p);
  strcpy(p->name, "CPU (no GPU was used)");
  p->major = 9;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->maxThreadsPerMultiProcessor = 2048;
  p->multiProcessorCount = 4;
  p->regsPerBlock = 65536;
  p->sharedMemPerBlock = SHARED_BYTES;
  p->sharedMemPerBlockOptin = SHARED_BYTES_AT_MOST;
  p->totalGlobalMem = 8ull << 30;
  p->l2CacheSize = 1 << 20;
  p->unifiedAddressing = 1;
  p->textureAlignment = 512;
  return cudaSuccess;
}

} // extern "C"
