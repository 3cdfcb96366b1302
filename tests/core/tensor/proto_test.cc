#include "core/tensor/proto.h"

#include "core/proto/tensor.pb.h"

namespace tributary {
namespace {

Tensor RoundTrip(const Tensor& t) {
  proto::TensorProto message;
  TensorToProto(t, &message);
  proto::TensorProto back;
  EXPECT_TRUE(back.ParseFromString(message.SerializeAsString()));
  return TensorFromProto(back);
}

TEST(TensorProto, RoundTripsNumbersAndStrings) {
  const Tensor floats = Tensor::FromVector<float>({1, -2, 3}, {3, 1});
  EXPECT_EQ(RoundTrip(floats).ToString(), floats.ToString());
  const Tensor text = Tensor::FromVector<std::string>({"a", std::string("\0b", 2)});
  EXPECT_EQ(RoundTrip(text).ToVector<std::string>(), text.ToVector<std::string>());
  EXPECT_EQ(RoundTrip(Tensor(true)).item<bool>(), true);
  EXPECT_EQ(RoundTrip(Tensor::Zeros(DType::kHalf, {0, 4})).shape(), Shape({0, 4}));
}

TEST(TensorProto, FewValuesRepeatTheLast) {
  proto::TensorProto message;
  message.set_dtype(proto::DT_INT32);
  message.mutable_tensor_shape()->add_dim()->set_size(4);
  message.add_int_val(7);
  message.add_int_val(9);
  EXPECT_EQ(TensorFromProto(message).ToVector<int32_t>(), (std::vector<int32_t>{7, 9, 9, 9}));
  message.clear_int_val();
  EXPECT_EQ(TensorFromProto(message).ToVector<int32_t>(), (std::vector<int32_t>{0, 0, 0, 0}));
}

TEST(TensorProto, HalvesAreBitPatterns) {
  proto::TensorProto message;
  message.set_dtype(proto::DT_HALF);
  message.mutable_tensor_shape();
  message.add_half_val(0x3c00);
  EXPECT_EQ(static_cast<float>(TensorFromProto(message).item<Half>()), 1.0f);
  message.set_dtype(proto::DT_BFLOAT16);
  message.set_half_val(0, 0x3f80);
  EXPECT_EQ(static_cast<float>(TensorFromProto(message).item<BFloat16>()), 1.0f);
}

TEST(TensorProto, ContentAndShapeMustAgree) {
  proto::TensorProto message;
  message.set_dtype(proto::DT_FLOAT);
  message.mutable_tensor_shape()->add_dim()->set_size(2);
  message.set_tensor_content("1234");
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
  message.clear_tensor_content();
  for (int i = 0; i < 3; ++i) message.add_float_val(1);
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
}

TEST(TensorProto, HostileShapesAreRefused) {
  proto::TensorProto message;
  message.set_dtype(proto::DT_FLOAT);
  message.add_float_val(1);
  auto* shape = message.mutable_tensor_shape();
  shape->add_dim()->set_size(int64_t{1} << 40);
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
  shape->add_dim()->set_size(int64_t{1} << 40);
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
  shape->mutable_dim(0)->set_size(-2);
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
  shape->mutable_dim(0)->set_size(-1);
  EXPECT_THROW(TensorFromProto(message), InvalidArgumentError);
}

TEST(TensorProto, ForeignDtypesAreNamed) {
  proto::TensorProto message;
  message.set_dtype(proto::DT_COMPLEX64);
  EXPECT_THAT([&] { TensorFromProto(message); },
              testing::ThrowsMessage<UnimplementedError>(testing::HasSubstr("DT_COMPLEX64")));
}

TEST(TensorShapeProto, KeepsWhatIsUnknown) {
  for (const Shape& shape : {Shape(), Shape({-1, 3}), Shape::UnknownRank()}) {
    proto::TensorShapeProto message;
    ShapeToProto(shape, &message);
    EXPECT_EQ(ShapeFromProto(message), shape);
  }
}

}  // namespace
}  // namespace tributary
