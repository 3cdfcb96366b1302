// Wrong jobs and what is said about them (wrong_jobs.txt). After a change of the
// wording: TRIBUTARY_UPDATE_GOLDEN=1 launch_tests --gtest_filter='WrongJobs.*',
// and read the diff.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <regex>

#include "core/base/strings.h"
#include "launch/config/job.h"
#include "launch/config/json_schema.h"
#include "launch/config/yaml_reader.h"
#include "schema_check.h"

namespace tributary {
namespace {

const std::string kCorpus = std::string(TRIBUTARY_SOURCE_DIR) + "/tests/launch/config/wrong_jobs.txt";

// === name
// yaml
// >>> schema sees it | only the validator sees it | several processes
// messages
struct Case {
  std::string name, yaml, seen_by, messages;
};

std::vector<Case> ReadCorpus() {
  std::ifstream stream(kCorpus);
  std::vector<Case> cases;
  std::string line;
  bool messages = false;
  while (std::getline(stream, line)) {
    if (StartsWith(line, "=== ")) {
      cases.push_back({line.substr(4), "", "", ""});
      messages = false;
    } else if (StartsWith(line, ">>> ")) {
      cases.back().seen_by = line.substr(4);
      messages = true;
    } else {
      (messages ? cases.back().messages : cases.back().yaml) += line + "\n";
    }
  }
  return cases;
}

JobSources SourcesOf(const Case& c) {
  JobSources sources;
  sources.environment = false;
  if (c.seen_by.find("two processes") != std::string::npos) sources.processes = 2;
  return sources;
}

// The lists of what is known grow with every new layer.
std::string WithoutLists(const std::string& text) {
  static const std::regex known("\\(known: [^)]*\\)|known here: [^\n]*|one of [^\n]*, got");
  return std::regex_replace(text, known, "(...)");
}

std::string MessagesOf(const Case& c) {
  try {
    ParseJob(c.yaml, "job.yaml", SourcesOf(c));
    return "accepted\n";
  } catch (const ConfigError& e) {
    return WithoutLists(e.what());
  }
}

TEST(WrongJobs, AreToldWhatIsWrongAndWhere) {
  std::vector<Case> cases = ReadCorpus();
  ASSERT_GE(cases.size(), 40u);
  const bool update = std::getenv("TRIBUTARY_UPDATE_GOLDEN") != nullptr;
  for (Case& c : cases) {
    const auto start = std::chrono::steady_clock::now();
    const std::string messages = MessagesOf(c);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 1.0) << c.name;
    EXPECT_NE(messages, "accepted\n") << c.name;
    if (!update) {
      EXPECT_EQ(messages, c.messages) << c.name;
    }
    c.messages = messages;
  }
  if (!update) return;
  std::ofstream stream(kCorpus);
  for (const Case& c : cases) {
    stream << "=== " << c.name << "\n" << c.yaml << ">>> " << c.seen_by << "\n" << c.messages;
  }
}

TEST(WrongJobs, AreRefusedByTheSchemaWhereItCanSeeWhy) {
  const SchemaCheck schema(JobJsonSchema());
  for (const Case& c : ReadCorpus()) {
    std::vector<OptionProblem> problems;
    const OptionNode node = ReadYaml(c.yaml, 0, &problems);
    const bool schema_accepts = schema.Accepts(JsonOf(node));
    if (StartsWith(c.seen_by, "schema")) {
      EXPECT_TRUE(problems.empty()) << c.name;
      EXPECT_FALSE(schema_accepts) << c.name;
    } else if (problems.empty()) {
      EXPECT_TRUE(schema_accepts) << c.name << ": mark it as seen by the schema";
    }
  }
}

}  // namespace
}  // namespace tributary
