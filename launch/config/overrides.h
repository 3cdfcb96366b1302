#pragma once
// `--set a.b=c`: one value of a job, changed before validation.
//
//   train.epochs=3   model[1].Dense.units=64   optimizer.learning_rate=0.1
//   optimizer.SGD.momentum=0.9   metrics=[accuracy, AUC]   data.train.take=null
//
// A name of a thing (`SGD`) replaces another one there; the name may be left out
// where there is one already. The value is YAML.

#include <string>
#include <vector>

#include "core/base/option_check.h"

namespace tributary {

// Changes *root (a map described by `table`). Marks carry `source`, whose text is
// `assignment`. Mistakes of form are appended to *problems; wrong keys and values
// are found by the validation that follows.
void ApplyOverride(const std::string& assignment, int source, const OptionTable& table,
                   OptionNode* root, std::vector<OptionProblem>* problems);

}  // namespace tributary
