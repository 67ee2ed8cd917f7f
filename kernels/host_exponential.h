#define GPUAD_STAND_IN(T, N, S) \
    static inline T gpuad_acos_##N(T x) { return acos##S(x); } \
    static inline T gpuad_acosh_##N(T x) { return acosh##S(x); } \
    static inline T gpuad_asin_##N(T x) { return asin##S(x); } \
    static inline T gpuad_asinh_##N(T x) { return asinh##S(x); } \
    static inline T gpuad_atan_##N(T x) { return atan##S(x); } \
    static inline T gpuad_atanh_##N(T x) { return atanh##S(x); } \
    static inline T gpuad_cos_##N(T x) { return cos##S(x); } \
    static inline T gpuad_cosh_##N(T x) { return cosh##S(x); } \
    static inline T gpuad_exp_##N(T x) { return exp##S(x); } \
    static inline T gpuad_exp2_##N(T x) { return exp2##S(x); } \
    static inline T gpuad_expm1_##N(T x) { return expm1##S(x); } \
    static inline T gpuad_log_##N(T x) { return log##S(x); } \
    static inline T gpuad_log10_##N(T x) { return log10##S(x); } \
    static inline T gpuad_log1p_##N(T x) { return log1p##S(x); } \
    static inline T gpuad_log2_##N(T x) { return log2##S(x); } \
    static inline T gpuad_sin_##N(T x) { return sin##S(x); } \
    static inline T gpuad_sinh_##N(T x) { return sinh##S(x); } \
    static inline T gpuad_tan_##N(T x) { return tan##S(x); } \
    static inline T gpuad_tanh_##N(T x) { return tanh##S(x); } \
    static inline T gpuad_erf_##N(T x) { return erf##S(x); } \
    static inline T gpuad_erfc_##N(T x) { return erfc##S(x); } \
    static inline T gpuad_atan2_##N(T y, T x) { return atan2##S(y, x); } \
    static inline T gpuad_power_##N(T x, T y) { return pow##S(x, y); } \
    static inline T gpuad_gamma_##N(T x) { return tgamma##S(x); } \
    static inline T gpuad_gammaln_##N(T x) { return lgamma##S(x); } \
    static inline T gpuad_expit_##N(T x) { return 1 / (1 + exp##S(-x)); } \
    static inline T gpuad_logaddexp_##N(T x, T y) { return x == y ? x + (T)0.69314718055994530942 : x > y ? x + log1p##S(exp##S(y - x)) : y + log1p##S(exp##S(x - y)); }
GPUAD_STAND_IN(float, f32, f)
GPUAD_STAND_IN(double, f64, )
static inline float _Complex gpuad_power_c64(float _Complex x, float _Complex y) { return cpowf(x, y); }
static inline double _Complex gpuad_power_c128(double _Complex x, double _Complex y) { return cpow(x, y); }
