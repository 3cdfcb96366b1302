#pragma once
// A handful of float ops for testing the engine, which knows none of its own.
// Registered in test_ops_test.cc under names that start with "Test".

#include "core/runtime/execute.h"
#include "core/runtime/variable.h"

namespace tributary::testing_ops {

inline Tensor Add(const Tensor& a, const Tensor& b) { return Execute1("TestAdd", {a, b}); }
inline Tensor Mul(const Tensor& a, const Tensor& b) { return Execute1("TestMul", {a, b}); }
inline Tensor Neg(const Tensor& a, const std::string& name = "") {
  return Execute1("TestNeg", {a}, {}, name);
}
inline Tensor MatMul(const Tensor& a, const Tensor& b, const std::string& name = "") {
  return Execute1("TestMatMul", {a, b}, {}, name);
}
inline Tensor Reshape(const Tensor& a, const Shape& shape) {
  return Execute1("TestReshape", {a}, {{"shape", shape}});
}
inline Tensor ShapeOf(const Tensor& a) { return Execute1("TestShape", {a}); }
// Ones of the shape that `dims` (int32) holds.
inline Tensor Ones(const Tensor& dims) { return Execute1("TestOnes", {dims}); }
inline Tensor Concat(const std::vector<Tensor>& parts) { return Execute1("TestConcat", parts); }
inline Tensor Pack(const std::vector<Tensor>& parts, const std::string& bucket) {
  return Execute1("TestPack", parts, {{"bucket", bucket}});
}
// y = x, written when it is waited for. Logs "start NAME" and "finish NAME".
inline Tensor Async(const Tensor& x, const std::string& name) {
  return Execute1("TestAsync", {x}, {{"tag", name}}, name);
}
inline void Assign(const Tensor& handle, const Tensor& value) {
  Execute("TestAssign", {handle, value});
}
// y = x, and logs "effect TAG".
inline Tensor Effect(const Tensor& x, const std::string& tag) {
  return Execute1("TestEffect", {x}, {{"tag", tag}});
}
// Throws OutOfRangeError when it runs and x[0] < 0.
inline Tensor FailIfNegative(const Tensor& x, const std::string& name) {
  return Execute1("TestFail", {x}, {}, name);
}
inline Tensor Floats(std::vector<float> values) { return Tensor::FromVector<float>(values); }

std::vector<std::string>& Log();
// Kernel launches of all test ops since the program started.
int& Launches();

}  // namespace tributary::testing_ops
