// Loads and stores of the first `count` lanes, which touch no memory beyond them.
// A Highway -inl header: included once a target.

#if defined(TRB_PARTIAL_INL_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef TRB_PARTIAL_INL_TARGET
#undef TRB_PARTIAL_INL_TARGET
#else
#define TRB_PARTIAL_INL_TARGET
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tributary {
namespace HWY_NAMESPACE {

// Other lanes are zero.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> LoadPartial(D d, const float* p, int64_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
#if HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, p);
#else
  HWY_ALIGN float lane[hn::MaxLanes(D())] = {};
  for (int64_t i = 0; i < count; ++i) lane[i] = p[i];
  return hn::Load(d, lane);
#endif
}

template <class D>
HWY_INLINE void StorePartial(hwy::HWY_NAMESPACE::Vec<D> v, D d, float* p, int64_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, p);
#else
  HWY_ALIGN float lane[hn::MaxLanes(D())];
  hn::Store(v, d, lane);
  for (int64_t i = 0; i < count; ++i) p[i] = lane[i];
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace tributary
HWY_AFTER_NAMESPACE();

#endif
