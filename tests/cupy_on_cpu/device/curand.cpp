// The cuRAND calls behind cupy.random. The distributions are cuRAND's, the numbers are not.
#include "state.h"
#include <random>

using namespace device;

namespace {

enum Status { OK = 0, LENGTH_NOT_MULTIPLE = 105, LAUNCH_FAILURE = 201, NOT_SUPPORTED = 204 };

struct Generator {
  void *stream = nullptr;
  uint64_t seed = 0;
  std::mt19937_64 random;
};

template <class T, class Draw> Status fill(Generator *g, T *out, size_t n, Draw draw) {
  if (n && !in_device_memory(out, n * sizeof(T))) return LAUNCH_FAILURE;
  const std::string problem = enqueue(stream_of(g->stream), [=]() mutable {
    tally(RANDOM);
    for (size_t i = 0; i < n; i++) out[i] = (T)draw(g->random);
    return "";
  });
  return problem.empty() ? OK : LAUNCH_FAILURE;
}
template <class T> Status uniform(Generator *g, T *out, size_t n) { // in (0, 1]
  return fill(g, out, n, [d = std::uniform_real_distribution<T>(0, 1)](auto &r) mutable { return 1 - d(r); });
}
template <class T> Status normal(Generator *g, T *out, size_t n, T mean, T deviation) {
  if (n % 2) return LENGTH_NOT_MULTIPLE; // cuRAND makes them in pairs
  return fill(g, out, n, std::normal_distribution<T>(mean, deviation));
}
template <class T> Status lognormal(Generator *g, T *out, size_t n, T mean, T deviation) {
  if (n % 2) return LENGTH_NOT_MULTIPLE;
  return fill(g, out, n, std::lognormal_distribution<T>(mean, deviation));
}

} // namespace

extern "C" {

int curandCreateGenerator(Generator **g, int) { *g = new Generator; return OK; }
int curandDestroyGenerator(Generator *g) { delete g; return OK; }
int curandGetVersion(int *v) { *v = 10400; return OK; }
int curandSetStream(Generator *g, void *s) { g->stream = s; return OK; }
int curandSetPseudoRandomGeneratorSeed(Generator *g, unsigned long long seed) {
  g->seed = seed;
  g->random.seed(seed);
  return OK;
}
int curandSetGeneratorOffset(Generator *g, unsigned long long offset) {
  if (offset) return NOT_SUPPORTED;
  g->random.seed(g->seed);
  return OK;
}
int curandGenerate(Generator *g, unsigned *out, size_t n) {
  return fill(g, out, n, [](auto &r) { return r() >> 32; });
}
int curandGenerateUniform(Generator *g, float *out, size_t n) { return uniform(g, out, n); }
int curandGenerateUniformDouble(Generator *g, double *out, size_t n) { return uniform(g, out, n); }
int curandGenerateNormal(Generator *g, float *out, size_t n, float mean, float deviation) {
  return normal(g, out, n, mean, deviation);
}
int curandGenerateNormalDouble(Generator *g, double *out, size_t n, double mean, double deviation) {
  return normal(g, out, n, mean, deviation);
}
int curandGenerateLogNormal(Generator *g, float *out, size_t n, float mean, float deviation) {
  return lognormal(g, out, n, mean, deviation);
}
int curandGenerateLogNormalDouble(Generator *g, double *out, size_t n, double mean, double deviation) {
  return lognormal(g, out, n, mean, deviation);
}
int curandGeneratePoisson(Generator *g, unsigned *out, size_t n, double mean) {
  return fill(g, out, n, std::poisson_distribution<unsigned>(mean));
}

} // extern "C"
