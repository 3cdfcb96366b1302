#include "trainer/summary/summary_writer.h"

#include <zlib.h>

#include "core/base/errors.h"
#include "core/io/memory_env.h"
#include "core/proto/event.pb.h"
#include "core/tensor/proto.h"
#include "trainer/summary/histogram.h"
#include "trainer/summary/png.h"

namespace tributary {
namespace {

class Summaries : public testing::Test {
 protected:
  // The event after the file version.
  proto::Event Only() {
    writer_.Flush();
    EventFileReader reader(&env_, writer_.path());
    proto::Event event;
    EXPECT_TRUE(reader.Read(&event));
    EXPECT_TRUE(reader.Read(&event));
    return event;
  }
  MemoryEnv env_;
  SummaryWriter writer_{{.directory = "logs", .env = &env_}};
};

TEST_F(Summaries, ScalarBytesAreTensorFlows) {
  writer_.Scalar("loss", 0.5, 7);
  proto::Event event = Only();
  event.set_wall_time(1.0);
  event.mutable_summary()->mutable_value(0)->mutable_metadata()->clear_data_class();
  const std::string bytes = event.SerializeAsString();
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  // Field order differs from the writer of the golden bytes; the content does not.
  proto::Event golden;
  std::string golden_bytes;
  const std::string text =
      "09000000000000f03f10072a210a1f0a046c6f7373420a080112002a040000003f4a0b0a090a077363616c617273";
  for (size_t i = 0; i < text.size(); i += 2) {
    golden_bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  ASSERT_TRUE(golden.ParseFromString(golden_bytes));
  const auto& value = event.summary().value(0);
  const auto& expected = golden.summary().value(0);
  EXPECT_EQ(event.step(), golden.step());
  EXPECT_EQ(value.tag(), expected.tag());
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(),
            expected.metadata().plugin_data().plugin_name());
  EXPECT_EQ(TensorFromProto(value.tensor()).item<float>(),
            TensorFromProto(expected.tensor()).item<float>());
}

TEST_F(Summaries, StartTellsWhereToCutOldCurves) {
  writer_.Start(123);
  const proto::Event event = Only();
  EXPECT_EQ(event.step(), 123);
  EXPECT_EQ(event.session_log().status(), proto::SessionLog::START);
}

TEST_F(Summaries, ImagesAreWidthHeightAndPngs) {
  writer_.Image("digits", Tensor::Zeros(DType::kUint8, {5, 4, 6, 1}), 1, 2);
  const proto::Event event = Only();
  const auto& value = event.summary().value(0);
  const auto blobs = TensorFromProto(value.tensor()).ToVector<std::string>();
  ASSERT_EQ(blobs.size(), 4u);
  EXPECT_EQ(blobs[0], "6");
  EXPECT_EQ(blobs[1], "4");
  EXPECT_EQ(blobs[2].substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_THROW(writer_.Image("bad", Tensor::Zeros(DType::kUint8, {5, 4}), 1),
               InvalidArgumentError);
  EXPECT_THROW(writer_.Image("bad", Tensor::Zeros(DType::kInt32, {5, 4, 1}), 1),
               InvalidArgumentError);
}

TEST_F(Summaries, TheCallersTensorMayChangeAtOnce) {
  const Tensor values = Tensor::FromVector<float>({1, 2, 3});
  writer_.Histogram("w", values, 1, 3);
  std::fill_n(values.mutable_data<float>(), 3, 100.0f);
  const Tensor rows = TensorFromProto(Only().summary().value(0).tensor());
  EXPECT_EQ(rows.data<double>()[0], 1);
  EXPECT_EQ(rows.data<double>()[7], 3);
}

TEST(Histogram, CountsEveryFiniteValueOnce) {
  const Tensor rows = HistogramBuckets(
      Tensor::FromVector<float>({0, 1, 1.5, 2, 3, NAN, INFINITY, -INFINITY}), 3);
  EXPECT_EQ(rows.ToVector<double>(), (std::vector<double>{0, 1, 1, 1, 2, 2, 2, 3, 2}));
}

TEST(Histogram, EdgeCasesAsTensorBoard) {
  const Tensor none = HistogramBuckets(Tensor::Zeros(DType::kFloat32, {0}), 4);
  EXPECT_EQ(none.shape(), Shape({4, 3}));
  EXPECT_EQ(none.ToVector<double>(), std::vector<double>(12));
  const Tensor equal = HistogramBuckets(Tensor::FromVector<int32_t>({5, 5}), 2);
  EXPECT_EQ(equal.ToVector<double>(), (std::vector<double>{4.5, 5.5, 0, 4.5, 5.5, 2}));
  const double big = 1.7e308;
  const Tensor wide = HistogramBuckets(Tensor::FromVector<double>({-big, big}), 2);
  EXPECT_EQ(wide.data<double>()[2], 1);
  EXPECT_EQ(wide.data<double>()[5], 1);
  EXPECT_EQ(HistogramBuckets(Tensor::FromVector<Half>({Half(1), Half(2)}), 1).data<double>()[2], 2);
}

TEST(Png, DecodesToItsPixels) {
  const std::vector<uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::string png = EncodePng(pixels.data(), 2, 2, 3);
  // IHDR is 13 bytes; the IDAT chunk follows.
  const size_t idat = png.find("IDAT");
  ASSERT_NE(idat, std::string::npos);
  EXPECT_EQ(png[8 + 4 + 4 + 3], 2);  // width
  EXPECT_EQ(png[8 + 4 + 4 + 9], 2);  // RGB
  std::string raw(14, '\0');
  uLongf size = raw.size();
  ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(raw.data()), &size,
                       reinterpret_cast<const Bytef*>(png.data() + idat + 4),
                       png.size() - idat - 4),
            Z_OK);
  EXPECT_EQ(raw, std::string("\0\1\2\3\4\5\6\0\7\10\11\12\13\14", 14));
  EXPECT_THROW(EncodePng(pixels.data(), 0, 2, 3), InvalidArgumentError);
  EXPECT_THROW(EncodePng(pixels.data(), 2, 2, 5), InvalidArgumentError);
}

}  // namespace
}  // namespace tributary
