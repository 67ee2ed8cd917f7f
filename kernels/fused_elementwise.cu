// A stretch of elementwise operations as one kernel: every operand is read once, every output written once.
//
// A template. gpuad/fused/cuda_source.py puts code of its own in place of what stands between `//[name`
// and `//]`; what stands there now is an example, out = a * b with a column b, so that the file compiles
// as it is.
#include "memory.cuh"

namespace gpuad {

//[settings
typedef int Index; // of an entry; long long where 2^31 isn't enough
typedef unsigned Count;
constexpr int WIDTH = 4; // so many entries along the last loop are taken at a time
//]

struct Arguments {
    //[arguments
    const float *a0, *a1;
    float *o0;
    Index points, length1;
    Index a0_s0, a1_s0;
    Divider<Count> by1;
    //]
};

// A point is WIDTH entries along the last loop, or the fewer that are left at its end.
extern "C" __global__ void __launch_bounds__(256, 2) gpuad_elementwise(const __grid_constant__ Arguments p) {
    //[once
    //]
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < p.points; i += (Index)gridDim.x * blockDim.x) {
        //[point
        const Index at0 = quotient((Count)i, p.by1), at1 = (i - at0 * (Index)p.by1.divisor) * WIDTH;
        const int count = p.length1 - at1 < WIDTH ? p.length1 - at1 : WIDTH;
        const Vector<float, WIDTH> a0 = load<WIDTH>(p.a0 + at0 * p.a0_s0 + at1, count);
        const float v1 = p.a1[at0 * p.a1_s0];
        Vector<float, WIDTH> o0;
        //]
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            //[entry
            const float v0 = a0.v[j];
            const float v2 = v0 * v1;
            o0.v[j] = v2;
            //]
        }
        //[stores
        save<WIDTH>(p.o0 + at0 * p.length1 + at1, o0, count);
        //]
    }
}

} // namespace gpuad

using gpuad::gpuad_elementwise;
