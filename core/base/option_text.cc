// The words of option_check.h: numbers in, descriptions out.
#include <charconv>

#include "core/base/option_check.h"
#include "core/base/strings.h"

namespace tributary {
namespace {

bool DecimalDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string LeadingZero(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.size() > 1 && text[0] == '0' && DecimalDigits(text)) {
    return "a leading zero is octal to some readers and decimal to others; write it "
           "without";
  }
  return "";
}

std::string RangeText(const OptionSpec& spec) {
  std::string text;
  if (spec.min) text += fmt::format(" {} {}", spec.min_open ? "above" : "of at least", *spec.min);
  if (spec.max) {
    text += fmt::format("{} {} {}", spec.min ? " and" : "",
                        spec.max_open ? "below" : "at most", *spec.max);
  }
  return text;
}

}  // namespace

namespace internal {

std::string KindWord(const std::string& kind) {
  std::string word = kind;
  std::replace(word.begin(), word.end(), '_', ' ');
  return word;
}

std::string Article(const std::string& word) {
  return (std::string("aeiou").find(word[0]) == std::string::npos ? "a " : "an ") + word;
}

std::string DescribeElement(const OptionSpec& spec) {
  std::string text;
  switch (spec.type) {
    case OptionType::kInt: text = "an integer" + RangeText(spec); break;
    case OptionType::kFloat: text = "a number" + RangeText(spec); break;
    case OptionType::kBool: text = "true or false"; break;
    case OptionType::kString:
      return spec.words.empty() ? "text" : "one of " + Join(spec.words, ", ");
    case OptionType::kPath: text = "a path"; break;
    case OptionType::kInterval:
      text = "an interval such as '100 steps', '1 epoch', '600 s' or 'never'";
      break;
    case OptionType::kObject: text = Article(KindWord(spec.kind)); break;
    case OptionType::kTable: text = "a block"; break;
    case OptionType::kTagged: text = fmt::format("a block with `{}:`", spec.tag); break;
    case OptionType::kMap:
      text = fmt::format("{}named {}s", spec.or_list ? "a list or " : "", KindWord(spec.kind));
      break;
    case OptionType::kAny: text = "a value"; break;
  }
  if (spec.type != OptionType::kObject && spec.type != OptionType::kTagged &&
      spec.type != OptionType::kMap && !spec.kind.empty()) {
    text += " or " + Article(KindWord(spec.kind));
  }
  if (!spec.words.empty()) text += " or " + Join(spec.words, ", ");
  return text;
}

}  // namespace internal

std::string ParseInt(const std::string& text, int64_t* value) {
  if (text.empty()) return "it is empty";
  std::string wrong = LeadingZero(text);
  if (!wrong.empty()) return wrong;
  const char* begin = text.data() + (text[0] == '+');
  const char* end = text.data() + text.size();
  const auto [last, code] = std::from_chars(begin, end, *value);
  if (code == std::errc::result_out_of_range) return "it does not fit 64 bits";
  if (code == std::errc() && last == end) return "";
  if (StartsWith(text, "0x") || StartsWith(text, "0o")) return "write it in decimal";
  if (text.find('_') != std::string::npos) return "write it without underscores";
  double number = 0;
  if (!ParseFloat(text, &number).empty() || !std::isfinite(number)) {
    return "that is no number";
  }
  if (number != std::floor(number)) return "it has a fraction";
  if (std::abs(number) > 9007199254740992.0) return "write large integers in full";
  *value = static_cast<int64_t>(number);
  return "";
}

std::string ParseFloat(const std::string& text, double* value) {
  std::string wrong = LeadingZero(text);
  if (!wrong.empty()) return wrong;
  if (text == ".inf" || text == "+.inf") {
    *value = HUGE_VAL;
    return "";
  }
  if (text == "-.inf") {
    *value = -HUGE_VAL;
    return "";
  }
  if (text == ".nan") {
    *value = std::nan("");
    return "";
  }
  const std::string_view digits = std::string_view(text).substr(!text.empty() && text[0] == '+');
  // from_chars also reads "inf", "nan" and "infinity": names, not numbers.
  if (digits.empty() || digits.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
    return "that is no number";
  }
  const auto [last, code] = std::from_chars(digits.data(), digits.data() + digits.size(), *value);
  if (code == std::errc::result_out_of_range) return "it is out of a double's range";
  if (code != std::errc() || last != digits.data() + digits.size()) return "that is no number";
  return "";
}

std::string DescribeOption(const OptionSpec& spec) {
  if (!spec.list) return internal::DescribeElement(spec);
  std::string count;
  if (spec.min_length == spec.max_length) count = fmt::format(" of {}", spec.min_length);
  else if (spec.min_length > 0) count = fmt::format(" of at least {}", spec.min_length);
  std::string text = fmt::format("a list{}, each {}", count, internal::DescribeElement(spec));
  if (spec.broadcast) text = internal::DescribeElement(spec) + ", or " + text;
  return text;
}

}  // namespace tributary
