#pragma once
// Arguments of things that are built by name: layers, optimizers, losses,
// metrics, data sources, callbacks, strategies, and the blocks of a job.
//
// Whoever registers such a thing describes its arguments once, in a table:
//
//   OptionTable{"Dense", "A fully connected layer.", {
//       Opt("units").Int().Min(1).Required().Doc("size of the output"),
//       Opt("activation").Of("activation").Default("linear"),
//       Opt("use_bias").Bool().Default(true),
//       Opt("padding").OneOf({"valid", "same"}).Default("valid"),
//       Opt("kernel_size").Int().Min(1).List(2).Required()}}
//
// The table is the only description: the validator, the JSON Schema, the
// documentation and get_config all read it. Options is the validated bag of
// values that a factory receives: every option of the table is there, with its
// default when nobody set it, of the right type and in range.
//
// core/base/option_registry.h holds the tables by kind; option_check.h validates.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/errors.h"
#include "core/base/option_node.h"

namespace tributary {

class Options;
struct OptionTable;

enum class OptionType {
  kInt,
  kFloat,     // finite, unless AllowInfinity()
  kBool,
  kString,    // with words: one of them
  kPath,      // a file or folder that must exist
  kInterval,  // "100 steps", "1 epoch", "600 s"
  kObject,    // a registered thing of `kind`, as a nested Options
  kTable,     // a nested block with a table of its own
  kTagged,    // a block where the key `tag` names a thing of `kind`, whose options
              // stand beside those of the block's table
  kMap,       // free names, each a thing of `kind`, written {Thing: {...}, extra: ...}
              // where the extras are the options of the block's table
  kAny,       // kept as it stands
};

// How often: after so many steps, epochs or seconds; count 0 means never.
struct Interval {
  enum class Unit { kSteps, kEpochs, kSeconds };
  double count = 0;
  Unit unit = Unit::kSteps;

  bool never() const { return count <= 0; }
  std::string ToString() const;
  // "never", "100", "100 steps", "1 epoch", "10 min". Throws InvalidArgumentError.
  static Interval Parse(const std::string& text);
};

// One argument. Built by Opt("name") and the setters, in any order after the type.
class OptionSpec {
 public:
  explicit OptionSpec(std::string name) : name(std::move(name)) {}

  OptionSpec&& Int() && { return Type(OptionType::kInt); }
  OptionSpec&& Float() && { return Type(OptionType::kFloat); }
  OptionSpec&& Bool() && { return Type(OptionType::kBool); }
  OptionSpec&& String() && { return Type(OptionType::kString); }
  OptionSpec&& Path() && { return Type(OptionType::kPath); }
  OptionSpec&& Every() && { return Type(OptionType::kInterval); }
  OptionSpec&& Any() && { return Type(OptionType::kAny); }
  // One of these words.
  OptionSpec&& OneOf(std::vector<std::string> words) &&;
  // A registered thing: `relu`, or `{RandomNormal: {stddev: 0.1}}`.
  OptionSpec&& Of(std::string kind) &&;
  // After a scalar type: a registered thing will do as well (a learning rate
  // is a number or a schedule).
  OptionSpec&& OrOf(std::string kind) &&;
  // After Of or Int: these words will do as well, and stay strings.
  OptionSpec&& Also(std::vector<std::string> words) &&;
  OptionSpec&& Block(OptionTable table) &&;
  OptionSpec&& Tagged(std::string tag, std::string kind, OptionTable common) &&;
  OptionSpec&& MapOf(std::string kind, OptionTable extras) &&;
  // After MapOf: a plain list of things will do as well (Keys() is empty then).
  OptionSpec&& OrList() && { or_list = true; return std::move(*this); }
  // A list of the type set before. With one length n, a single value v stands
  // for [v, ... v] (Keras's kernel_size: 3).
  OptionSpec&& List(int length) &&;
  OptionSpec&& List(int min_length, int max_length) &&;
  OptionSpec&& List() && { return std::move(*this).List(0, kMaxListLength); }

  OptionSpec&& Min(double v) && { min = v; return std::move(*this); }
  OptionSpec&& Max(double v) && { max = v; return std::move(*this); }
  OptionSpec&& Above(double v) && { min = v; min_open = true; return std::move(*this); }
  OptionSpec&& Below(double v) && { max = v; max_open = true; return std::move(*this); }
  OptionSpec&& AllowInfinity() && { infinity = true; return std::move(*this); }
  // Without Default and Required an option is null until it is set.
  OptionSpec&& Default(OptionNode v) && {
    default_value = std::move(v);
    return std::move(*this);
  }
  OptionSpec&& Required() && { required = true; return std::move(*this); }
  OptionSpec&& Doc(std::string v) && { doc = std::move(v); return std::move(*this); }
  // A further check of one element: returns what is wrong ("must be even"), or "".
  // It has no place in the JSON Schema, so prefer the setters above.
  OptionSpec&& Check(std::function<std::string(const OptionNode&)> v) && {
    check = std::move(v);
    return std::move(*this);
  }

  static constexpr int kMaxListLength = 100000;

  std::string name;
  OptionType type = OptionType::kAny;
  std::string kind;                // registry of kObject, kTagged, kMap, OrOf
  std::vector<std::string> words;  // OneOf, Also
  bool list = false;
  int min_length = 0;
  int max_length = 0;
  bool broadcast = false;
  bool or_list = false;
  std::optional<double> min, max;
  bool min_open = false, max_open = false;
  bool infinity = false;
  bool required = false;
  OptionNode default_value;  // null: none
  std::string doc;
  std::string tag;                           // kTagged
  std::shared_ptr<const OptionTable> table;  // kTable, kTagged, kMap
  std::function<std::string(const OptionNode&)> check;

 private:
  OptionSpec&& Type(OptionType v) {
    type = v;
    return std::move(*this);
  }
};

inline OptionSpec Opt(std::string name) { return OptionSpec(std::move(name)); }

struct OptionTable {
  std::string name;  // "Dense"
  std::string doc;   // one sentence
  std::vector<OptionSpec> options;
  std::vector<std::string> aliases = {};  // other names users may write

  const OptionSpec* Find(const std::string& option) const;
  std::vector<std::string> OptionNames() const;
};

// Validated values of one table. Cheap to copy (shared, immutable).
class Options {
 public:
  Options();

  // Name of the thing: "Dense".
  const std::string& name() const;

  // Set, by somebody or by a default, and not null.
  bool Has(const std::string& option) const;

  // Values. Each throws InternalError when the table has no such option, when it
  // is of another type, or null: that is a bug of the reader.
  int64_t Int(const std::string& option) const;
  double Float(const std::string& option) const;  // also reads an int
  bool Bool(const std::string& option) const;
  const std::string& String(const std::string& option) const;  // also paths, words
  Interval Every(const std::string& option) const;
  std::vector<int64_t> Ints(const std::string& option) const;
  std::vector<double> Floats(const std::string& option) const;
  std::vector<std::string> Strings(const std::string& option) const;
  const Options& Child(const std::string& option) const;  // kObject, kTable, kTagged
  std::vector<Options> Children(const std::string& option) const;  // lists, kMap
  // Keys of a kMap in the order written; they match Children.
  std::vector<std::string> Keys(const std::string& option) const;
  const OptionNode& Any(const std::string& option) const;

  template <typename T>
  T Get(const std::string& option) const;

  bool IsObject(const std::string& option) const;  // a Child, not a number or word
  bool IsString(const std::string& option) const;

  // Where the value came from: "default", "code", "job.yaml:12:9", "--set #2".
  const std::string& Origin(const std::string& option) const;
  // Names in the order of the table.
  std::vector<std::string> Names() const;

  // get_config: {"units": 128, "activation": "relu", ...}, keys in table order;
  // things are {"class_name": ..., "config": ...} as Keras writes them.
  std::string ToJson() const;
  // The same as a node that CheckOptions accepts again (a resolved job).
  OptionNode ToNode() const;

  struct Value;
  struct Data;
  explicit Options(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  const Data& data() const { return *data_; }

 private:
  const Value& Find(const std::string& option) const;

  std::shared_ptr<const Data> data_;
};

struct Options::Value {
  using List = std::vector<Value>;
  std::variant<std::monostate, bool, int64_t, double, std::string, Interval, Options,
               List, OptionNode>
      v;
};

struct Options::Data {
  struct Entry {
    std::string name;
    Value value;
    std::string origin;
    std::vector<std::string> keys;  // kMap: the names of the list's elements
    bool extra = false;             // belongs to the block, not to the thing
  };
  std::string name;
  std::string tag;        // kTagged: the key that holds the name
  bool is_thing = false;  // built by name, not a mere block
  std::vector<Entry> entries;
};

// Options for `table` from code: MakeOptions(table, {{"units", 128}}).
// Throws InvalidArgumentError that lists everything that is wrong.
Options MakeOptions(const OptionTable& table, const OptionNode& values);

template <> inline int64_t Options::Get(const std::string& o) const { return Int(o); }
template <> inline int Options::Get(const std::string& o) const {
  return static_cast<int>(Int(o));
}
template <> inline double Options::Get(const std::string& o) const { return Float(o); }
template <> inline float Options::Get(const std::string& o) const {
  return static_cast<float>(Float(o));
}
template <> inline bool Options::Get(const std::string& o) const { return Bool(o); }
template <> inline std::string Options::Get(const std::string& o) const {
  return String(o);
}

}  // namespace tributary
