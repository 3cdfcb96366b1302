#pragma once
// tf.summary for one run directory: scalars, histograms, images, text and the
// graph, in the tensor form that TensorBoard 2 reads.
//
// A call copies its tensor and returns; bucketing, PNG and disk are the writing
// thread's. Safe from any thread. Steps of one tag must increase.

#include <string>

#include "core/tensor/tensor.h"
#include "trainer/summary/event_file.h"

namespace tributary {

class SummaryWriter {
 public:
  // tf.summary.create_file_writer.
  explicit SummaryWriter(EventFileOptions options);

  // Tells readers that steps from `step` on are written anew: whatever an earlier
  // run wrote at or after it disappears from the curves. Call once when training
  // starts, with the step about to be done, if it resumes.
  void Start(int64_t step);

  void Scalar(const std::string& tag, double value, int64_t step);
  // Any numeric dtype and shape.
  void Histogram(const std::string& tag, const Tensor& values, int64_t step, int buckets = 30);
  // [n, height, width, channels] or [height, width, channels]; uint8 as it is,
  // floats in [0, 1]. The first `max_outputs` are shown. Throws
  // InvalidArgumentError for other shapes and dtypes.
  void Image(const std::string& tag, const Tensor& images, int64_t step, int max_outputs = 3);
  // Markdown.
  void Text(const std::string& tag, const std::string& markdown, int64_t step);
  // A serialized GraphDef: the run's graph.
  void Graph(std::string graph_def);
  // Keras's to_json of the model: the conceptual graph.
  void KerasModel(std::string json, int64_t step);

  void Flush() { file_.Flush(); }
  void Close() { file_.Close(); }
  const std::string& path() const { return file_.path(); }
  int64_t dropped() const { return file_.dropped(); }

 private:
  EventFileWriter file_;
};

}  // namespace tributary
