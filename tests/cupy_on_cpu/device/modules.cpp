// The driver calls: modules and launches. A "module image" is the path of a shared object that g++
// made from the kernel source.
#include "block.h"
#include "state.h"
#include <cuda.h>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>

using namespace device;

namespace {

constexpr char IMAGE_PREFIX[] = "on_cpu:";

struct Function {
  std::string name;
  on_cpu::Kernel kernel;
  bool suspends;
  size_t shared_allowed = SHARED_BYTES;
};
struct Module {
  void *library;
  std::map<std::string, Function> functions;
};

thread_local std::string reason;
CUresult fail_driver(CUresult error, std::string why) {
  reason = std::move(why);
  return error;
}

// A copy of a launch's arguments, for a graph to keep.
std::shared_ptr<void *> copy_arguments(const on_cpu::Kernel &kernel, void **arguments) {
  const size_t n = kernel.argument_count;
  auto align = [](size_t bytes) { return (bytes + 15) & ~(size_t)15; };
  size_t bytes = align(n * sizeof(void *) + 1);
  for (size_t i = 0; i < n; i++) bytes += align(kernel.argument_sizes[i]);
  std::shared_ptr<void *> copy((void **)aligned_alloc(16, bytes), free);
  char *at = (char *)copy.get() + align(n * sizeof(void *) + 1);
  for (size_t i = 0; i < n; i++) {
    memcpy(at, arguments[i], kernel.argument_sizes[i]);
    copy.get()[i] = at;
    at += align(kernel.argument_sizes[i]);
  }
  return copy;
}

std::string check_launch(const Function &f, const Launch &l) {
  const unsigned *g = l.grid, *b = l.block;
  if (!g[0] || !g[1] || !g[2] || !b[0] || !b[1] || !b[2]) return "a grid or block dimension is zero";
  if (g[0] > 0x7fffffffu || g[1] > 65535 || g[2] > 65535) return "the grid is too large";
  if (b[0] > 1024 || b[1] > 1024 || b[2] > 64 || (uint64_t)b[0] * b[1] * b[2] > 1024)
    return "a block has at most 1024 threads";
  const size_t fixed = f.kernel.shared_end - f.kernel.shared_begin;
  if (fixed + l.dynamic_shared > f.shared_allowed) return "more shared memory than the function may use";
  return "";
}

} // namespace

extern "C" {

CUresult cuGetErrorName(CUresult e, const char **name) {
  switch (e) {
  case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
  case CUDA_ERROR_INVALID_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
  case CUDA_ERROR_NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
  case CUDA_ERROR_LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
  case CUDA_ERROR_NOT_SUPPORTED: *name = "CUDA_ERROR_NOT_SUPPORTED"; break;
  default: *name = "CUDA_ERROR"; break;
  }
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char **text) {
  *text = reason.c_str();
  return CUDA_SUCCESS;
}
// Called by the calls that build.py makes for whatever else CuPy asks of the driver.
CUresult on_cpu_refuse_driver(const char *call) {
  return fail_driver(CUDA_ERROR_NOT_SUPPORTED, std::string(call) + " is not emulated on the CPU");
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *c) { *c = (CUcontext)1; return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice *d) { *d = 0; return CUDA_SUCCESS; }
CUresult cuStreamGetCtx(CUstream, CUcontext *c) { *c = (CUcontext)1; return CUDA_SUCCESS; }

CUresult cuModuleLoadData(CUmodule *m, const void *image) {
  const char *path = (const char *)image;
  if (strncmp(path, IMAGE_PREFIX, strlen(IMAGE_PREFIX)))
    return fail_driver(CUDA_ERROR_INVALID_IMAGE, "GPU code can't run on the CPU");
  void *library = dlopen(path + strlen(IMAGE_PREFIX), RTLD_NOW | RTLD_LOCAL);
  if (!library) return fail_driver(CUDA_ERROR_INVALID_IMAGE, dlerror());
  *m = (CUmodule) new Module{library, {}};
  return CUDA_SUCCESS;
}
// The code stays loaded: a captured graph may still call it.
CUresult cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
  auto *module = (Module *)m;
  auto found = module->functions.find(name);
  if (found == module->functions.end()) {
    auto record = (on_cpu::Kernel(*)())dlsym(module->library, (std::string("on_cpu_kernel_") + name).c_str());
    if (!record)
      return fail_driver(CUDA_ERROR_NOT_FOUND, std::string("the module has no kernel named ") + name +
                                                   " (extern \"C\" __global__ void " + name + "(...))");
    const bool suspends = dlsym(module->library, "on_cpu_suspends") != nullptr;
    found = module->functions.emplace(name, Function{name, record(), suspends}).first;
  }
  *f = (CUfunction)&found->second;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *v, CUfunction_attribute a, CUfunction f) {
  const auto *function = (Function *)f;
  switch (a) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = 1024; return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    *v = function->kernel.shared_end - function->kernel.shared_begin;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *v = function->shared_allowed; return CUDA_SUCCESS;
  default: return fail_driver(CUDA_ERROR_NOT_SUPPORTED, "this property of a kernel is not known on the CPU");
  }
}
CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int v) {
  if (a == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return CUDA_SUCCESS; // only a hint
  if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
    return fail_driver(CUDA_ERROR_NOT_SUPPORTED, "this property of a kernel can't be set on the CPU");
  if (v < 0 || (size_t)v > SHARED_BYTES_AT_MOST)
    return fail_driver(CUDA_ERROR_INVALID_VALUE, "a block has at most 227 KiB of shared memory");
  ((Function *)f)->shared_allowed = v;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, CUfunction, int, size_t) {
  *n = 1;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction, CUoccupancyB2DSize, size_t, int) {
  *grid = 4;
  *block = 256;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                        unsigned bz, unsigned shared, CUstream s, void **arguments, void **extra) {
  auto *function = (Function *)f;
  // CUDA leaves open what a barrier does that some threads don't reach. Some kernels of CuPy have one, and
  // rely on what GPUs do. Ours are held to the letter.
  const bool lenient = function->name.rfind("cupy_", 0) == 0;
  const Launch launch{{gx, gy, gz}, {bx, by, bz}, shared, function->suspends, lenient};
  if (extra) return fail_driver(CUDA_ERROR_NOT_SUPPORTED, "launch options are not emulated on the CPU");
  std::string problem = check_launch(*function, launch);
  if (!problem.empty()) return fail_driver(CUDA_ERROR_INVALID_VALUE, function->name + ": " + problem);

  auto run = [=](void **with) -> std::string {
    tally(replaying() ? GRAPH_KERNELS : LAUNCHES);
    log_launch(function->name);
    const std::string went_wrong = run_blocks(function->kernel, launch, with);
    return went_wrong.empty() ? "" : function->name + ": " + went_wrong;
  };
  Stream *stream = stream_of(s);
  if (stream->capture) {
    auto kept = copy_arguments(function->kernel, arguments);
    enqueue(stream, [=] { return run(kept.get()); });
    return CUDA_SUCCESS;
  }
  problem = enqueue(stream, [=] { return run(arguments); });
  return problem.empty() ? CUDA_SUCCESS : fail_driver(CUDA_ERROR_LAUNCH_FAILED, problem);
}

} // extern "C"
