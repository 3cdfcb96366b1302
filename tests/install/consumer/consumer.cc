// A stranger's program: a tensor, a data set, a pass over it.

#include <iostream>

#include "core/tensor/tensor.h"
#include "trainer/data/source.h"

int main() {
  using namespace tributary;
  const data::Dataset digits =
      data::DataSources().Make("digits", {{"count", 100}}).Shuffle(100, 1).Batch(32);
  data::Iterator it = digits.MakeIterator();
  int64_t rows = 0;
  while (const data::Batch* batch = it.Next()) rows += batch->examples;
  std::cout << Tensor::FromVector<float>({1, 2}).ToString() << "\n" << rows << " digits\n";
  return rows == 100 ? 0 : 1;
}
