#pragma once
// Sorted string tables as leveldb and TensorFlow's checkpoint index use them
// (leveldb doc/table_format.md; raw byte keys, no filter, no internal suffix).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// Builds one table in memory; blocks are written uncompressed.
class TableBuilder {
 public:
  // Keys in strictly increasing order of unsigned bytes. Throws
  // InvalidArgumentError otherwise.
  void Add(std::string_view key, std::string_view value);
  // The bytes of the whole file. Nothing may be called after.
  std::string Finish();

 private:
  struct Block {
    std::string data;
    std::vector<uint32_t> restarts{0};
    int entries = 0;
    std::string last_key;
    void Add(std::string_view key, std::string_view value, int restart_interval);
    std::string Contents() const;
    size_t SizeEstimate() const { return data.size() + 4 * restarts.size() + 4; }
  };
  std::string Handle(const std::string& contents);
  void CloseBlock(const std::string& index_key);

  std::string file_;
  Block data_;
  Block index_;
  bool any_ = false;
  std::string last_key_;
};

// Calls `visit` for every entry of the table `file`, in order. `name` is for
// messages. Throws DataLossError with name and offset when a checksum, a length
// or the order of keys is wrong; memory and work are bounded by the file's size.
void ReadTable(std::string_view file, const std::string& name,
               const std::function<void(std::string_view key, std::string_view value)>& visit);

}  // namespace tributary
