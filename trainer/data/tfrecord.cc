#include "trainer/data/tfrecord.h"

#include <algorithm>

#include "core/base/errors.h"
#include "core/base/logging.h"
#include "core/io/coding.h"
#include "core/io/crc32c.h"
#include "core/proto/example.pb.h"
#include "trainer/data/byte_reader.h"

namespace tributary::data {
namespace {

constexpr size_t kHeader = 12;

ByteReader::Compression CompressionOf(RecordCompression compression) {
  switch (compression) {
    case RecordCompression::kNone: return ByteReader::Compression::kNone;
    case RecordCompression::kGzip: return ByteReader::Compression::kGzip;
    case RecordCompression::kZlib: return ByteReader::Compression::kZlib;
    default: return ByteReader::Compression::kAuto;
  }
}

// The values of one feature, example by example.
class Values {
 public:
  explicit Values(const ExampleFeature& feature)
      : feature_(feature), width_(feature.shape.NumElements()) {}

  // Returns what is wrong with the example, or "". Adds nothing then.
  std::string Add(const proto::Example& example) {
    const auto& map = example.features().feature();
    const auto found = map.find(feature_.name);
    if (found == map.end() || found->second.kind_case() == proto::Feature::KIND_NOT_SET) {
      if (!feature_.default_value.defined()) {
        return fmt::format("feature '{}' is missing, and has no default", feature_.name);
      }
      AddDefault();
      return "";
    }
    const proto::Feature& feature = found->second;
    switch (feature_.dtype) {
      case DType::kFloat32: return Take(feature.has_float_list(), feature.float_list(), &floats_);
      case DType::kInt64: return Take(feature.has_int64_list(), feature.int64_list(), &ints_);
      default: return Take(feature.has_bytes_list(), feature.bytes_list(), &words_);
    }
  }
  // Forgets all but the first `rows` examples.
  void Truncate(int64_t rows) {
    floats_.resize(std::min<size_t>(floats_.size(), rows * width_));
    ints_.resize(std::min<size_t>(ints_.size(), rows * width_));
    words_.resize(std::min<size_t>(words_.size(), rows * width_));
  }

  Tensor Make(int64_t rows) const {
    Shape shape{rows};
    for (const int64_t dim : feature_.shape.dims()) shape.AddDim(dim);
    switch (feature_.dtype) {
      case DType::kFloat32: return Tensor::FromVector(floats_, shape);
      case DType::kInt64: return Tensor::FromVector(ints_, shape);
      default: return Tensor::FromVector(words_, shape);
    }
  }

 private:
  template <typename List, typename T>
  std::string Take(bool right_kind, const List& list, std::vector<T>* values) {
    if (!right_kind) {
      return fmt::format("feature '{}' is not a list of {}", feature_.name,
                         DTypeName(feature_.dtype));
    }
    if (list.value_size() != width_) {
      return fmt::format("feature '{}': expected {} values, got {}", feature_.name, width_,
                         list.value_size());
    }
    values->insert(values->end(), list.value().begin(), list.value().end());
    return "";
  }

  void AddDefault() {
    const Tensor& value = feature_.default_value;
    const auto add = [&]<typename T>(std::vector<T>* values) {
      const auto given = value.values<T>();
      for (int64_t i = 0; i < width_; ++i) values->push_back(given[given.size() == 1 ? 0 : i]);
    };
    switch (feature_.dtype) {
      case DType::kFloat32: return add(&floats_);
      case DType::kInt64: return add(&ints_);
      default: return add(&words_);
    }
  }

  const ExampleFeature& feature_;
  int64_t width_;
  std::vector<float> floats_;
  std::vector<int64_t> ints_;
  std::vector<std::string> words_;
};

class Reader {
 public:
  explicit Reader(const TfRecordOptions& options) : options_(options) {
    for (const ExampleFeature& feature : options.features) values_.emplace_back(feature);
  }

  void Read(Env* env, const std::string& path) {
    ByteReader file(env, path, CompressionOf(options_.compression));
    std::string data;
    for (;;) {
      const int64_t offset = file.offset();
      char header[kHeader];
      const size_t got = file.Read(header, kHeader);
      if (got == 0) return;
      if (got < kHeader) Damaged(path, offset, "the file ends inside the length of a record");
      if (UnmaskCrc(GetFixed32(header + 8)) != Crc32c({header, 8})) {
        Damaged(path, offset, "the checksum of a record's length does not match");
      }
      const uint64_t length = GetFixed64(header);
      if (length > static_cast<uint64_t>(options_.max_record_bytes)) {
        Damaged(path, offset, fmt::format("a record of {} bytes, the limit is {}", length,
                                          options_.max_record_bytes));
      }
      if (static_cast<int64_t>(length) + 4 > file.MaxBytesLeft()) {
        Damaged(path, offset, fmt::format("a record of {} bytes, more than the file holds",
                                          length));
      }
      data.resize(length + 4);
      if (file.Read(data.data(), data.size()) < data.size()) {
        Damaged(path, offset, fmt::format("the file ends inside a record of {} bytes", length));
      }
      const std::string_view record(data.data(), length);
      if (UnmaskCrc(GetFixed32(data.data() + length)) != Crc32c(record)) {
        Bad(path, offset, "the checksum of a record does not match");
      } else if (const std::string error = Add(record); !error.empty()) {
        Bad(path, offset, error);
      }
    }
  }

  TablePtr Table() const {
    auto table = std::make_shared<data::Table>();
    table->rows = rows_;
    for (size_t i = 0; i < values_.size(); ++i) {
      table->names.push_back(options_.features[i].name);
      table->columns.push_back(TensorColumn(values_[i].Make(rows_)));
    }
    return table;
  }

 private:
  std::string Add(std::string_view record) {
    if (!example_.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      return "a record that is no tf.Example";
    }
    for (Values& values : values_) {
      const std::string error = values.Add(example_);
      if (error.empty()) continue;
      for (Values& each : values_) each.Truncate(rows_);
      return error;
    }
    ++rows_;
    return "";
  }

  [[noreturn]] static void Damaged(const std::string& path, int64_t offset,
                                   const std::string& what) {
    throw DataLossError("[tfrecord] {} at byte {}: {}; get the file again, or name its "
                        "`compression`",
                        path, offset, what);
  }

  void Bad(const std::string& path, int64_t offset, const std::string& what) {
    if (++bad_ > options_.max_bad_records) {
      throw DataLossError("[tfrecord] {} at byte {}: {}; {} bad records are allowed "
                          "(max_bad_records)",
                          path, offset, what, options_.max_bad_records);
    }
    LogWarning("[tfrecord] {} at byte {}: {}; the record is left out", path, offset, what);
  }

  const TfRecordOptions& options_;
  std::vector<Values> values_;
  proto::Example example_;
  int64_t rows_ = 0, bad_ = 0;
};

void CheckFeatures(const TfRecordOptions& options) {
  if (options.features.empty()) {
    throw InvalidArgumentError("[tfrecord] no feature is named");
  }
  for (const ExampleFeature& feature : options.features) {
    const bool dtype = feature.dtype == DType::kFloat32 || feature.dtype == DType::kInt64 ||
                       feature.dtype == DType::kString;
    if (!dtype || !feature.shape.IsFullyDefined()) {
      throw InvalidArgumentError("[tfrecord] feature '{}': expected float32, int64 or string of a "
                                 "known shape, got {} {}",
                                 feature.name, DTypeName(feature.dtype),
                                 feature.shape.ToString());
    }
    const Tensor& value = feature.default_value;
    if (value.defined() && (value.dtype() != feature.dtype ||
                            (value.NumElements() != 1 &&
                             value.NumElements() != feature.shape.NumElements()))) {
      throw InvalidArgumentError("[tfrecord] feature '{}': the default does not fit",
                                 feature.name);
    }
  }
}

}  // namespace

TablePtr ReadTfRecords(Env* env, const std::vector<std::string>& paths,
                       const TfRecordOptions& options) {
  CheckFeatures(options);
  Reader reader(options);
  for (const std::string& path : paths) reader.Read(env, path);
  return reader.Table();
}

}  // namespace tributary::data
