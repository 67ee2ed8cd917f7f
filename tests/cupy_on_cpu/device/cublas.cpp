// The cuBLAS calls behind CuPy's matmul, dot, tensordot and einsum. build.py makes every other cuBLAS
// call that CuPy knows return CUBLAS_STATUS_NOT_SUPPORTED.
//
// Matrices are stored by columns, as in BLAS. float16 and bfloat16 are summed in float32.
#include "state.h"
#include "../kernel/half_types.h"
#include <algorithm>
#include <complex>
#include <library_types.h>
#include <set>

using namespace device;

namespace {

using complex64 = std::complex<float>;
using complex128 = std::complex<double>;
enum Status { OK = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Transpose { NONE = 0, TRANSPOSED = 1, CONJUGATED = 2 };
enum PointerMode { ON_HOST = 0, ON_DEVICE = 1 };

struct Handle {
  void *stream = nullptr;
  int pointer_mode = ON_HOST;
  int math_mode = 0;
  void *workspace = nullptr; // the caller's; without it cuBLAS allocates when it needs some
};

// A factor given by address: on the host it is read at once, on the device when the work is done.
template <class C> class Factor {
  C value{};
  const C *address = nullptr;

public:
  Factor(const Handle *h, const void *p) {
    if (h->pointer_mode == ON_DEVICE) address = (const C *)p; else value = *(const C *)p;
  }
  C get() const { return address ? *address : value; }
};

Status submit(const Handle *h, std::function<void()> work) {
  // Some versions of cuBLAS would allocate in the capture, for each graph anew. Nobody is to rely on it.
  if (!h->workspace && stream_of(h->stream)->capture) return EXECUTION_FAILED;
  const std::string problem = enqueue(stream_of(h->stream), [work = std::move(work)] {
    tally(BLAS);
    work();
    return "";
  });
  return problem.empty() ? OK : EXECUTION_FAILED;
}

template <class T> T conjugate(T x, bool) { return x; }
template <class T> std::complex<T> conjugate(std::complex<T> x, bool yes) { return yes ? std::conj(x) : x; }

// A matrix operand: a stored matrix, perhaps to be transposed.
template <class T> struct Operand {
  const T *data;
  long column_step;
  int transpose;
  // op(data) as rows x columns, without gaps, in the type that is computed in.
  template <class C> std::vector<C> packed(long rows, long columns) const {
    std::vector<C> out(rows * columns);
    for (long j = 0; j < columns; j++)
      for (long i = 0; i < rows; i++) {
        const T x = transpose ? data[i * column_step + j] : data[j * column_step + i];
        out[j * rows + i] = conjugate(C(x), transpose == CONJUGATED);
      }
    return out;
  }
};

// c = alpha * op(a) op(b) + beta * c, four columns of a at a time over a strip of rows that stays in
// cache, so that the inner loop is a vector loop.
template <class T, class Out, class C>
void multiply(long m, long n, long k, C alpha, const Operand<T> &a, const Operand<T> &b, C beta, Out *c, long ldc) {
  constexpr long ROWS = 1024, DEPTH = 4;
  const std::vector<C> left = a.template packed<C>(m, k), right = b.template packed<C>(k, n);
  std::vector<C> sum(std::min(m, ROWS));
  for (long top = 0; top < m; top += ROWS) {
    const long rows = std::min(ROWS, m - top);
    for (long j = 0; j < n; j++) {
      const C *x = left.data() + top, *y = right.data() + j * k;
      C *s = sum.data();
      for (long i = 0; i < rows; i++) s[i] = C(0);
      long l = 0;
      for (; l + DEPTH <= k; l += DEPTH, x += DEPTH * m, y += DEPTH)
        for (long i = 0; i < rows; i++)
          s[i] += x[i] * y[0] + x[i + m] * y[1] + x[i + 2 * m] * y[2] + x[i + 3 * m] * y[3];
      for (; l < k; l++, x += m, y++)
        for (long i = 0; i < rows; i++) s[i] += x[i] * y[0];
      Out *out = c + j * ldc + top; // where beta is 0, c isn't read: it may hold NaN
      for (long i = 0; i < rows; i++) out[i] = Out(beta == C(0) ? alpha * s[i] : alpha * s[i] + beta * C(out[i]));
    }
  }
}

template <class T, class Out, class C>
Status gemm(const Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int lda,
            long long stride_a, const void *b, int ldb, long long stride_b, const void *beta, void *c, int ldc,
            long long stride_c, int batch) {
  const bool empty = !m || !n || !batch;
  if (m < 0 || n < 0 || k < 0 || batch < 0) return INVALID_VALUE;
  if (!empty && (side_of(c) != Side::DEVICE || (k && (side_of(a) != Side::DEVICE || side_of(b) != Side::DEVICE))))
    return INVALID_VALUE;
  const Factor<C> alpha_(h, alpha), beta_(h, beta);
  return submit(h, [=] {
    for (long i = 0; i < batch; i++)
      multiply<T, Out, C>(m, n, k, alpha_.get(), {(const T *)a + i * stride_a, lda, ta},
                          {(const T *)b + i * stride_b, ldb, tb}, beta_.get(), (Out *)c + i * stride_c, ldc);
  });
}

Status gemm_of_type(const Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                    int type_a, int lda, long long stride_a, const void *b, int type_b, int ldb,
                    long long stride_b, const void *beta, void *c, int type_c, int ldc, long long stride_c,
                    int batch, int compute) {
  // cublasComputeType_t: float32 and its fast forms, which are computed in full here; float64.
  static const std::set<int> FLOAT32{68, 69, 74, 75, 77}, FLOAT64{70, 71};
  if (type_a != type_b) return NOT_SUPPORTED;
  const bool is_double = type_a == CUDA_R_64F || type_a == CUDA_C_64F;
  if (!(is_double ? FLOAT64 : FLOAT32).count(compute)) return NOT_SUPPORTED;
#define CASE(IN, IN_TYPE, OUT, OUT_TYPE, C)                                                                    \
  if (type_a == IN_TYPE && type_c == OUT_TYPE)                                                                 \
    return gemm<IN, OUT, C>(h, ta, tb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch);
  CASE(float, CUDA_R_32F, float, CUDA_R_32F, float)
  CASE(double, CUDA_R_64F, double, CUDA_R_64F, double)
  CASE(complex64, CUDA_C_32F, complex64, CUDA_C_32F, complex64)
  CASE(complex128, CUDA_C_64F, complex128, CUDA_C_64F, complex128)
  CASE(__half, CUDA_R_16F, __half, CUDA_R_16F, float)
  CASE(__half, CUDA_R_16F, float, CUDA_R_32F, float)
  CASE(__nv_bfloat16, CUDA_R_16BF, __nv_bfloat16, CUDA_R_16BF, float)
  CASE(__nv_bfloat16, CUDA_R_16BF, float, CUDA_R_32F, float)
#undef CASE
  return NOT_SUPPORTED;
}

template <class T>
Status gemm_of_pointers(const Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                        int lda, const void *b, int ldb, const void *beta, const void *c, int ldc, int batch) {
  const Factor<T> alpha_(h, alpha), beta_(h, beta);
  return submit(h, [=] {
    for (int i = 0; i < batch; i++)
      multiply<T, T, T>(m, n, k, alpha_.get(), {((const T *const *)a)[i], lda, ta}, {((const T *const *)b)[i], ldb, tb},
                        beta_.get(), ((T *const *)c)[i], ldc);
  });
}

template <class T>
Status gemv(const Handle *h, int transpose, int m, int n, const void *alpha, const void *a, int lda, const void *x,
            int step_x, const void *beta, void *y, int step_y) {
  if (m < 0 || n < 0 || step_x <= 0 || step_y <= 0) return step_x && step_y ? NOT_SUPPORTED : INVALID_VALUE;
  const Factor<T> alpha_(h, alpha), beta_(h, beta);
  return submit(h, [=] {
    const T alpha = alpha_.get(), beta = beta_.get();
    const long rows = transpose ? n : m, columns = transpose ? m : n;
    for (long i = 0; i < rows; i++) {
      T sum = T(0);
      for (long j = 0; j < columns; j++) {
        const T entry = ((const T *)a)[transpose ? i * lda + j : j * lda + i];
        sum += conjugate(entry, transpose == CONJUGATED) * ((const T *)x)[j * step_x];
      }
      T &out = ((T *)y)[i * step_y];
      out = beta == T(0) ? alpha * sum : alpha * sum + beta * out;
    }
  });
}

template <class T>
Status dot(const Handle *h, bool conjugated, int n, const void *x, int step_x, const void *y, int step_y, void *result) {
  if (step_x <= 0 || step_y <= 0) return NOT_SUPPORTED;
  if (h->pointer_mode == ON_HOST) tally(SYNCS); // the result is there when the call returns
  return submit(h, [=] {
    T sum = T(0);
    for (long i = 0; i < n; i++)
      sum += conjugate(((const T *)x)[i * step_x], conjugated) * ((const T *)y)[i * step_y];
    *(T *)result = sum;
  });
}

} // namespace

extern "C" {

int cublasCreate_v2(Handle **h) { *h = new Handle; return OK; }
int cublasDestroy_v2(Handle *h) { delete h; return OK; }
int cublasGetVersion_v2(Handle *, int *v) { *v = CUDART_VERSION * 10; return OK; }
int cublasSetStream_v2(Handle *h, void *s) { h->stream = s; h->workspace = nullptr; return OK; }
int cublasSetWorkspace_v2(Handle *h, void *memory, size_t bytes) {
  if (bytes && !in_device_memory(memory, bytes)) return INVALID_VALUE;
  h->workspace = memory;
  return OK;
}
int cublasGetStream_v2(Handle *h, void **s) { *s = h->stream; return OK; }
int cublasSetPointerMode_v2(Handle *h, int mode) { h->pointer_mode = mode; return OK; }
int cublasGetPointerMode_v2(Handle *h, int *mode) { *mode = h->pointer_mode; return OK; }
int cublasSetMathMode(Handle *h, int mode) { h->math_mode = mode; return OK; }
int cublasGetMathMode(Handle *h, int *mode) { *mode = h->math_mode; return OK; }

int cublasGemmEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int type_a, int lda,
                 const void *b, int type_b, int ldb, const void *beta, void *c, int type_c, int ldc, int compute, int) {
  return gemm_of_type(h, ta, tb, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute);
}
int cublasGemmStridedBatchedEx(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                               int type_a, int lda, long long stride_a, const void *b, int type_b, int ldb,
                               long long stride_b, const void *beta, void *c, int type_c, int ldc, long long stride_c,
                               int batch, int compute, int) {
  return gemm_of_type(h, ta, tb, m, n, k, alpha, a, type_a, lda, stride_a, b, type_b, ldb, stride_b, beta, c, type_c,
                      ldc, stride_c, batch, compute);
}

#define OF_TYPE(LETTER, T)                                                                                     \
  int cublas##LETTER##gemm_v2(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int lda, \
                              const void *b, int ldb, const void *beta, void *c, int ldc) {                    \
    return gemm<T, T, T>(h, ta, tb, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);                 \
  }                                                                                                            \
  int cublas##LETTER##gemmStridedBatched(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha,    \
                                         const void *a, int lda, long long stride_a, const void *b, int ldb,   \
                                         long long stride_b, const void *beta, void *c, int ldc,               \
                                         long long stride_c, int batch) {                                      \
    return gemm<T, T, T>(h, ta, tb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch); \
  }                                                                                                            \
  int cublas##LETTER##gemmBatched(Handle *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, \
                                  int lda, const void *b, int ldb, const void *beta, const void *c, int ldc, int batch) { \
    return gemm_of_pointers<T>(h, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, batch);                \
  }                                                                                                            \
  int cublas##LETTER##gemv_v2(Handle *h, int transpose, int m, int n, const void *alpha, const void *a, int lda, \
                              const void *x, int step_x, const void *beta, void *y, int step_y) {              \
    return gemv<T>(h, transpose, m, n, alpha, a, lda, x, step_x, beta, y, step_y);                             \
  }
#define DOT(NAME, T, CONJUGATED)                                                                               \
  int cublas##NAME##_v2(Handle *h, int n, const void *x, int step_x, const void *y, int step_y, void *result) { \
    return dot<T>(h, CONJUGATED, n, x, step_x, y, step_y, result);                                             \
  }
OF_TYPE(S, float)
OF_TYPE(D, double)
OF_TYPE(C, complex64)
OF_TYPE(Z, complex128)
DOT(Sdot, float, false)
DOT(Ddot, double, false)
DOT(Cdotu, complex64, false)
DOT(Zdotu, complex128, false)
DOT(Cdotc, complex64, true)
DOT(Zdotc, complex128, true)

} // extern "C"
