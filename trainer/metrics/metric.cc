#include "trainer/metrics/metric.h"

#include <cstring>

namespace tributary {

Metric::Metric(Options options) : options_(std::move(options)) {
  set_name(options_.Has("name") ? options_.String("name") : ToSnakeCase(options_.name()));
}

VariablePtr Metric::AddState(const std::string& name, int64_t size) {
  VariablePtr variable = Variable::Create(this->name() + "/" + name,
                                          Tensor::Zeros(DType::kFloat64, {size}), false);
  Own(name, variable);
  return variable;
}

double Metric::result() const {
  const std::vector<double> values = StateValues();
  return Result(values);
}

void Metric::ResetState() {
  for (const VariablePtr& variable : state()) {
    std::memset(variable->storage().raw_data(), 0, variable->storage().bytes());
  }
}

std::vector<double> Metric::StateValues() const {
  std::vector<double> values;
  for (const VariablePtr& variable : state()) {
    const auto part = variable->storage().values<double>();
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

MetricRegistry& Metrics() {
  static MetricRegistry registry("metric");
  return registry;
}

OptionTable MetricTable(std::string class_name, std::string doc,
                        std::vector<OptionSpec> options, std::vector<std::string> aliases) {
  options.push_back(Opt("name").String().Doc("in logs; the class name in snake case unless set"));
  return {std::move(class_name), std::move(doc), std::move(options), std::move(aliases)};
}

}  // namespace tributary
