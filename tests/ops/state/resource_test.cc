// Ops on variables, eager and in plans.

#include "core/runtime/function.h"
#include "core/runtime/gradients.h"
#include "ops/ops.h"

namespace tributary {
namespace {

using Floats = std::vector<float>;

std::shared_ptr<Variable> Table() {
  return Variable::Create("table", Tensor::FromVector<float>({1, 2, 3, 4, 5, 6}, {3, 2}));
}

TEST(Assign, ChangesTheVariableInPlace) {
  const auto v = Variable::Create("v", Tensor::FromVector<float>({1, 2}));
  const void* address = v->storage().raw_data();
  ops::AssignAddVariableOp(v->handle(), Tensor::FromVector<float>({10, 20}));
  EXPECT_EQ(v->storage().ToVector<float>(), (Floats{11, 22}));
  ops::AssignSubVariableOp(v->handle(), Tensor::FromVector<float>({1, 1}));
  EXPECT_EQ(v->storage().ToVector<float>(), (Floats{10, 21}));
  ops::AssignVariableOp(v->handle(), Tensor::FromVector<float>({0, 5}));
  EXPECT_EQ(v->storage().ToVector<float>(), (Floats{0, 5}));
  EXPECT_EQ(v->storage().raw_data(), address);
  EXPECT_TRUE(ops::VarIsInitializedOp(v->handle()).item<bool>());
}

TEST(Assign, RefusesAnotherDTypeOrShape) {
  const auto v = Variable::Create("v", Tensor::FromVector<float>({1, 2}));
  EXPECT_THROW(ops::AssignVariableOp(v->handle(), Tensor::FromVector<double>({1, 2})),
               InvalidArgumentError);
  EXPECT_THROW(ops::AssignAddVariableOp(v->handle(), Tensor(1.0f)), InvalidArgumentError);
}

TEST(Assign, KeepsProgramOrderInAPlan) {
  const auto v = Variable::Create("v", Tensor(1.0f));
  Function f("f", [&](const std::vector<Tensor>& in) {
    const Tensor before = v->value();
    ops::AssignAddVariableOp(v->handle(), in[0]);
    const Tensor after = v->value();
    return std::vector<Tensor>{ops::Identity(before), ops::Mul(after, Tensor(10.0f))};
  });
  auto out = f({Tensor(2.0f)});
  EXPECT_EQ(out[0].item<float>(), 1);
  EXPECT_EQ(out[1].item<float>(), 30);
  out = f({Tensor(4.0f)});
  EXPECT_EQ(out[0].item<float>(), 3);
  EXPECT_EQ(out[1].item<float>(), 70);
}

TEST(Scatter, AddsRepeatedRowsAndSpreadsScalars) {
  const auto table = Table();
  const Tensor rows = Tensor::FromVector<int32_t>({2, 0, 2});
  ops::ResourceScatterAdd(table->handle(), rows,
                          Tensor::FromVector<float>({1, 1, 2, 2, 3, 3}, {3, 2}));
  EXPECT_EQ(table->storage().ToVector<float>(), (Floats{3, 4, 3, 4, 9, 10}));
  ops::ResourceScatterSub(table->handle(), Tensor::FromVector<int64_t>({1}), Tensor(1.0f));
  EXPECT_EQ(table->storage().ToVector<float>(), (Floats{3, 4, 2, 3, 9, 10}));
  ops::ResourceScatterUpdate(table->handle(), rows,
                             Tensor::FromVector<float>({1, 1, 2, 2, 3, 3}, {3, 2}));
  EXPECT_EQ(table->storage().ToVector<float>(), (Floats{2, 2, 2, 3, 3, 3}));
}

TEST(Scatter, RefusesIndicesAndShapesThatDoNotFit) {
  const auto table = Table();
  EXPECT_THROW(ops::ResourceScatterAdd(table->handle(), Tensor::FromVector<int32_t>({3}),
                                       Tensor(1.0f)),
               InvalidArgumentError);
  EXPECT_THROW(ops::ResourceScatterAdd(table->handle(), Tensor::FromVector<int32_t>({0}),
                                       Tensor::FromVector<float>({1, 2, 3}, {1, 3})),
               InvalidArgumentError);
  EXPECT_EQ(table->storage().ToVector<float>(), (Floats{1, 2, 3, 4, 5, 6}));
}

TEST(ResourceGather, HasASparseGradient) {
  const auto table = Table();
  const Tensor indices = Tensor::FromVector<int32_t>({2, 0, 2});
  GradientTape tape;
  const Tensor rows = ops::ResourceGather(table->handle(), indices);
  EXPECT_EQ(rows.ToVector<float>(), (Floats{5, 6, 1, 2, 5, 6}));
  const Tensor loss = ops::Sum(ops::Mul(rows, rows));
  const Grads grads = tape.Gradient(loss, {table});
  ASSERT_TRUE(grads[0].sparse());
  EXPECT_EQ(grads[0].slices().indices.ToVector<int32_t>(), indices.ToVector<int32_t>());
  EXPECT_EQ(Densify(grads[0]).ToVector<float>(), (Floats{2, 4, 0, 0, 20, 24}));
}

TEST(ResourceGather, ReadsLiveStorageInAPlan) {
  const auto table = Table();
  Function f("f", [&](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ops::ResourceGather(table->handle(), in[0])};
  });
  const Tensor one = Tensor::FromVector<int32_t>({1});
  EXPECT_EQ(f({one})[0].ToVector<float>(), (Floats{3, 4}));
  table->Assign(Tensor::Zeros(DType::kFloat32, {3, 2}));
  EXPECT_EQ(f({one})[0].ToVector<float>(), (Floats{0, 0}));
  EXPECT_THROW(f({Tensor::FromVector<int32_t>({5})}), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
