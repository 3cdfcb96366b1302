#include "trainer/summary/summary_writer.h"

#include "core/base/errors.h"
#include "core/proto/event.pb.h"
#include "core/tensor/proto.h"
#include "trainer/summary/histogram.h"
#include "trainer/summary/png.h"

namespace tributary {
namespace {

// Metadata goes on every value: only the first of a tag needs it, but which one
// that is depends on the files that came before.
proto::Summary::Value* AddValue(proto::Event* event, const std::string& tag, int64_t step,
                                const char* plugin, proto::DataClass data_class,
                                const char* content = "") {
  event->set_step(step);
  auto* value = event->mutable_summary()->add_value();
  value->set_tag(tag);
  auto* metadata = value->mutable_metadata();
  metadata->mutable_plugin_data()->set_plugin_name(plugin);
  metadata->mutable_plugin_data()->set_content(content);
  metadata->set_data_class(data_class);
  return value;
}

uint8_t ToByte(float value) {
  return static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f);
}

std::vector<uint8_t> Pixels(const Tensor& image) {
  if (image.dtype() == DType::kUint8) return image.ToVector<uint8_t>();
  std::vector<uint8_t> pixels;
  pixels.reserve(image.NumElements());
  for (const float v : image.values<float>()) pixels.push_back(std::isnan(v) ? 0 : ToByte(v));
  return pixels;
}

}  // namespace

SummaryWriter::SummaryWriter(EventFileOptions options) : file_(std::move(options)) {}

void SummaryWriter::Start(int64_t step) {
  // Twice: TensorBoard takes the first START of a run for its beginning and drops
  // old steps only at later ones.
  for (int i = 0; i < 2; ++i) {
    file_.Write([step](proto::Event* event) {
      event->set_step(step);
      event->mutable_session_log()->set_status(proto::SessionLog::START);
    });
  }
}

void SummaryWriter::Scalar(const std::string& tag, double value, int64_t step) {
  file_.Write([=](proto::Event* event) {
    auto* out = AddValue(event, tag, step, "scalars", proto::DATA_CLASS_SCALAR);
    TensorToProto(Tensor(static_cast<float>(value)), out->mutable_tensor());
  });
}

void SummaryWriter::Histogram(const std::string& tag, const Tensor& values, int64_t step,
                              int buckets) {
  file_.Write([=, copy = values.Clone()](proto::Event* event) {
    auto* out = AddValue(event, tag, step, "histograms", proto::DATA_CLASS_TENSOR);
    TensorToProto(HistogramBuckets(copy, buckets), out->mutable_tensor());
  });
}

void SummaryWriter::Image(const std::string& tag, const Tensor& images, int64_t step,
                          int max_outputs) {
  if ((images.rank() != 3 && images.rank() != 4) ||
      (images.dtype() != DType::kUint8 && images.dtype() != DType::kFloat32) ||
      images.dim(-1) < 1 || images.dim(-1) > 4 || images.NumElements() == 0) {
    throw InvalidArgumentError("[summary] image '{}': expected uint8 or float32 of shape "
                               "[n, height, width, 1..4], got {} {}",
                               tag, DTypeName(images.dtype()), images.shape().ToString());
  }
  const Tensor batch = images.rank() == 4
                           ? images
                           : images.Reshaped({1, images.dim(0), images.dim(1), images.dim(2)});
  const Tensor shown = batch.Slice(0, std::min<int64_t>(batch.dim(0), max_outputs)).Clone();
  file_.Write([=](proto::Event* event) {
    const int64_t height = shown.dim(1);
    const int64_t width = shown.dim(2);
    std::vector<std::string> blobs = {std::to_string(width), std::to_string(height)};
    for (int64_t i = 0; i < shown.dim(0); ++i) {
      const std::vector<uint8_t> pixels = Pixels(shown.Slice(i, i + 1));
      blobs.push_back(EncodePng(pixels.data(), height, width, static_cast<int>(shown.dim(3))));
    }
    auto* out = AddValue(event, tag, step, "images", proto::DATA_CLASS_BLOB_SEQUENCE);
    TensorToProto(Tensor::FromVector(blobs), out->mutable_tensor());
  });
}

void SummaryWriter::Text(const std::string& tag, const std::string& markdown, int64_t step) {
  file_.Write([=](proto::Event* event) {
    auto* out = AddValue(event, tag, step, "text", proto::DATA_CLASS_TENSOR);
    TensorToProto(Tensor(markdown), out->mutable_tensor());
  });
}

void SummaryWriter::Graph(std::string graph_def) {
  file_.Write([graph = std::move(graph_def)](proto::Event* event) { event->set_graph_def(graph); });
}

void SummaryWriter::KerasModel(std::string json, int64_t step) {
  file_.Write([json = std::move(json), step](proto::Event* event) {
    auto* out = AddValue(event, "keras", step, "graph_keras_model",
                         proto::DATA_CLASS_BLOB_SEQUENCE, "1");
    TensorToProto(Tensor(json), out->mutable_tensor());
  });
}

}  // namespace tributary
