#include "core/tensor/npy.h"

#include "core/io/memory_env.h"

namespace tributary {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// A version 1 file with the given dictionary and data.
std::string File(const std::string& dict, const std::string& data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(dict.size() & 0xff);
  file += static_cast<char>(dict.size() >> 8);
  return file + dict + data;
}

TEST(Npy, EveryPlainDtypeRoundTrips) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kHalf, DType::kBFloat16,
                            DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64,
                            DType::kUint8, DType::kBool}) {
    Tensor t = Tensor::Zeros(dtype, {2, 3});
    auto* bytes = static_cast<uint8_t*>(t.raw_data());
    for (size_t i = 0; i < t.bytes(); ++i) bytes[i] = dtype == DType::kBool ? i % 2 : i + 1;
    const Tensor back = ParseNpy(SerializeNpy(t), "t");
    EXPECT_EQ(back.spec(), t.spec());
    EXPECT_EQ(std::memcmp(back.raw_data(), t.raw_data(), t.bytes()), 0) << DTypeName(dtype);
  }
}

TEST(Npy, WritesWhatNumPyWrites) {
  // np.save of np.array([1, 2], '<f4'), NumPy 2.4.
  const std::string expected =
      std::string("\x93NUMPY\x01\x00\x76\x00", 10) +
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" + std::string(60, ' ') + "\n" +
      std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  EXPECT_EQ(SerializeNpy(Tensor::FromVector<float>({1, 2})), expected);
}

TEST(Npy, ScalarsAndEmptyTensorsRoundTrip) {
  EXPECT_EQ(ParseNpy(SerializeNpy(Tensor(7)), "t").item<int32_t>(), 7);
  EXPECT_EQ(ParseNpy(SerializeNpy(Tensor::Zeros(DType::kFloat32, {0, 3})), "t").shape(),
            Shape({0, 3}));
}

TEST(Npy, FortranOrderIsTransposed) {
  const std::string data("\1\2\3\4\5\6", 6);  // columns of a 2x3
  const Tensor t =
      ParseNpy(File("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", data), "t");
  EXPECT_EQ(t.ToVector<uint8_t>(), (std::vector<uint8_t>{1, 3, 5, 2, 4, 6}));
}

TEST(Npy, BigEndianIsSwapped) {
  const Tensor t = ParseNpy(
      File("{\"shape\": (1,), \"descr\": '>i4', 'fortran_order': False}", std::string("\0\0\1\2", 4)),
      "t");
  EXPECT_EQ(t.item<int32_t>(), 258);
}

TEST(Npy, ForeignTypesNameThemselves) {
  EXPECT_THAT(
      [] { ParseNpy(File("{'descr': '<c8', 'fortran_order': False, 'shape': (), }", ""), "x.npy"); },
      ThrowsMessage<UnimplementedError>(testing::AllOf(HasSubstr("x.npy"), HasSubstr("<c8"))));
}

TEST(Npy, TruncatedFilesNameTheSizes) {
  const std::string whole = SerializeNpy(Tensor::FromVector<float>({1, 2, 3}));
  for (const size_t size : {size_t{0}, size_t{5}, size_t{9}, size_t{50}, whole.size() - 1}) {
    EXPECT_THAT([&] { ParseNpy(whole.substr(0, size), "x.npy"); },
                ThrowsMessage<DataLossError>(HasSubstr("x.npy")))
        << size;
  }
}

TEST(Npy, HostileHeadersAreRefused) {
  for (const std::string dict : {
           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
           "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (), }",
           "{'descr': '<f4', 'shape': (), }",
           "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
           "{'descr': '<f4",
           "",
           "[]",
       }) {
    EXPECT_THAT([&] { ParseNpy(File(dict, std::string(64, 'x')), "a.npy"); },
                ThrowsMessage<Error>(HasSubstr("a.npy")))
        << dict;
  }
  std::string deep = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 1000; ++i) deep += "1,";
  EXPECT_THROW(ParseNpy(File(deep + "), }", "1234"), "t"), DataLossError);
}

TEST(Npy, GoesThroughAFileSystem) {
  MemoryEnv env;
  WriteNpy(&env, "d/x.npy", Tensor::FromVector<int64_t>({1, -1}));
  EXPECT_EQ(ReadNpy(&env, "d/x.npy").ToVector<int64_t>(), (std::vector<int64_t>{1, -1}));
  EXPECT_THROW(ReadNpy(&env, "d/y.npy"), NotFoundError);
}

TEST(Npy, StringsAreRefused) {
  EXPECT_THROW(SerializeNpy(Tensor("text")), UnimplementedError);
}

}  // namespace
}  // namespace tributary
