#include "launch/config/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace tributary {
namespace {

// Ends the parse: reading on would be unsafe or useless.
struct Stop {};

// Builds nodes from parser events. yaml-cpp's own tree is no use: it resolves
// aliases by sharing, keeps the first of duplicate keys and drops tags.
class Builder : public YAML::EventHandler {
 public:
  Builder(int source, const YamlLimits& limits, std::vector<OptionProblem>* problems)
      : source_(source), limits_(limits), problems_(problems) {}

  OptionNode Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Complete(OptionNode(), Mark(mark), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) {
      Problem(Mark(mark), "this alias stands inside what it names");
      throw Stop();
    }
    OptionNode copy = it->second.node;
    nodes_ += it->second.nodes - 1;
    Complete(std::move(copy), it->second.node.mark, 0, it->second.nodes, it->second.height);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckTag(tag, Mark(mark));
    // A tag that is refused changes nothing about its value; `!` stands for quotes.
    const bool plain = tag != "!";
    if (plain && (value == "null" || value == "Null" || value == "NULL" || value == "~" ||
                  value.empty())) {
      Complete(OptionNode(), Mark(mark), anchor);
    } else if (plain) {
      Complete(OptionNode(OptionNode::Plain{value}), Mark(mark), anchor);
    } else {
      Complete(OptionNode(value), Mark(mark), anchor);
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(OptionNode(OptionNode::List()), Mark(mark), tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(OptionNode(OptionNode::Map()), Mark(mark), tag, anchor);
  }
  void OnMapEnd() override { Close(); }

  void Problem(const OptionMark& mark, std::string message) {
    problems_->push_back({mark, "", std::move(message)});
  }
  OptionMark Mark(const YAML::Mark& mark) const {
    return {source_, mark.line + 1, mark.column + 1};
  }

 private:
  struct Frame {
    OptionNode node;
    YAML::anchor_t anchor = 0;
    int nodes_before = 0;
    int height = 0;  // levels below
    // Of a map: the key that waits for its value.
    bool has_key = false;
    bool drop_value = false;
    std::string key;
    OptionMark key_mark;
  };
  struct Anchor {
    OptionNode node;
    int nodes = 0;
    int height = 0;
  };

  void CheckTag(const std::string& tag, const OptionMark& mark) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    Problem(mark, "the tag '" + tag.substr(0, 80) + "' is refused: a job holds plain data only");
  }

  void CheckDepth(const OptionMark& mark, int height) {
    if (static_cast<int>(stack_.size()) + height <= limits_.depth) return;
    Problem(mark, fmt::format("nested more than {} levels deep", limits_.depth));
    throw Stop();
  }

  void Open(OptionNode node, const OptionMark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    CheckTag(tag, mark);
    CheckDepth(mark, 1);
    node.mark = mark;
    Frame frame;
    frame.node = std::move(node);
    frame.anchor = anchor;
    frame.nodes_before = nodes_;
    stack_.push_back(std::move(frame));
  }

  void Close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    const OptionMark mark = frame.node.mark;
    Complete(std::move(frame.node), mark, frame.anchor, nodes_ - frame.nodes_before + 1,
             frame.height + 1);
  }

  // A finished value: remembers it under its anchor, hands it to its parent.
  void Complete(OptionNode node, const OptionMark& mark, YAML::anchor_t anchor,
                int size = 1, int height = 0) {
    CheckDepth(mark, height);
    node.mark = mark;
    if (++nodes_ > limits_.nodes) {
      Problem(mark, fmt::format("more than {} values, counting what aliases repeat",
                                limits_.nodes));
      throw Stop();
    }
    if (anchor) anchors_[anchor] = {node, size, height};
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& parent = stack_.back();
    parent.height = std::max(parent.height, height);
    if (auto* list = std::get_if<OptionNode::List>(&parent.node.v)) {
      list->push_back(std::move(node));
    } else if (!parent.has_key) {
      Key(parent, node);
    } else {
      Value(parent, std::move(node));
    }
  }

  void Key(Frame& parent, const OptionNode& node) {
    parent.has_key = true;
    parent.drop_value = true;
    parent.key_mark = node.mark;
    const auto* plain = node.AsPlain();
    const std::string* text = plain ? &plain->text : node.AsString();
    if (!text) {
      Problem(node.mark, "a key must be a word");
      return;
    }
    parent.key = *text;
    if (plain && *text == "<<") {
      Problem(node.mark, "merge keys (<<) are refused; write the keys out");
      return;
    }
    for (const OptionNode::Entry& entry : *parent.node.AsMap()) {
      if (entry.key != *text) continue;
      Problem(node.mark, fmt::format("the key '{}' is given twice; the first is in line {}",
                                     text->substr(0, 60), entry.mark.line));
      return;
    }
    parent.drop_value = false;
  }

  void Value(Frame& parent, OptionNode node) {
    parent.has_key = false;
    if (parent.drop_value) return;
    // The parser puts an empty value at the next token; its key is the better place.
    if (node.IsNull()) node.mark = parent.key_mark;
    std::get<OptionNode::Map>(parent.node.v)
        .push_back({std::move(parent.key), std::move(node), parent.key_mark});
  }

  int source_;
  const YamlLimits& limits_;
  std::vector<OptionProblem>* problems_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  OptionNode root_;
  int nodes_ = 0;
};

// Silent: only tells whether a further document has anything in it.
class Discard : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { throw mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

OptionMark MarkOfOffset(const std::string& text, size_t offset, int source) {
  const auto begin = text.begin();
  const int line = static_cast<int>(std::count(begin, begin + offset, '\n')) + 1;
  const size_t start = text.rfind('\n', offset == 0 ? 0 : offset - 1);
  const size_t column = line == 1 || start == std::string::npos ? offset : offset - start - 1;
  return {source, line, static_cast<int>(column) + 1};
}

std::string TabHint(const std::string& text, int line) {
  size_t at = 0;
  for (int i = 1; i < line && at != std::string::npos; ++i) {
    at = text.find('\n', at);
    if (at != std::string::npos) ++at;
  }
  if (at == std::string::npos) return "";
  const size_t word = text.find_first_not_of(" \t", at);
  const bool tab = text.substr(at, word - at).find('\t') != std::string::npos;
  return tab ? "; lines are indented by spaces, not tabs" : "";
}

std::string DescribeBadByte(std::string_view text, size_t bad) {
  const auto byte = static_cast<unsigned char>(text[bad]);
  const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") ||
                     (byte == 0 && bad < 2);
  if (utf16) return "this is UTF-16 text, it seems; save the job as UTF-8";
  if (byte >= 0x80) return fmt::format("byte 0x{:02x} is no UTF-8 text", byte);
  return fmt::format("byte 0x{:02x} is a control character; a job is text", byte);
}

}  // namespace

size_t FirstBadByte(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) return i;
      ++i;
      continue;
    }
    const int length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || i + length > text.size()) return i;
    uint32_t point = c & (0x7f >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return i;
      point = point << 6 | (next & 0x3f);
    }
    const uint32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return i;
    i += length;
  }
  return std::string_view::npos;
}

OptionNode ReadYaml(const std::string& text, int source, std::vector<OptionProblem>* problems,
                    const YamlLimits& limits) {
  const OptionMark start{source, 1, 1};
  if (text.size() > limits.bytes) {
    problems->push_back({start, "", fmt::format("{} bytes are too many for a job; at most {}",
                                                text.size(), limits.bytes)});
    return {};
  }
  if (const size_t bad = FirstBadByte(text); bad != std::string::npos) {
    problems->push_back({MarkOfOffset(text, bad, source), "", DescribeBadByte(text, bad)});
    return {};
  }
  std::istringstream stream(text);
  Builder builder(source, limits, problems);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return {};
    Discard discard;
    parser.HandleNextDocument(discard);
  } catch (const Stop&) {
  } catch (const YAML::Mark& second) {
    builder.Problem(builder.Mark(second), "a second document starts here; a job is one document");
  } catch (const YAML::Exception& e) {
    const OptionMark mark = e.mark.is_null() ? start : builder.Mark(e.mark);
    builder.Problem(mark, "this is not YAML: " + e.msg + TabHint(text, mark.line));
  }
  return builder.Take();
}

}  // namespace tributary
