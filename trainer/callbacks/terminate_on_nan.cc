// TerminateOnNaN (keras.callbacks.TerminateOnNaN): here before the update, inside
// the step. It is the trainer's default; the callback makes it explicit.

#include "trainer/loop/trainer.h"

namespace tributary {
namespace {

class TerminateOnNan final : public Callback {
 public:
  TerminateOnNan() { set_name("TerminateOnNaN"); }
  void OnTrainBegin(Trainer& trainer) override { trainer.CheckFinite(true); }
};

REGISTER_CALLBACK(OptionTable{"TerminateOnNaN",
                              "Stops before an update whose loss or gradients are not finite.",
                              {}},
                  [](const Options&, const CallbackContext&) {
                    return std::make_shared<TerminateOnNan>();
                  });

}  // namespace
}  // namespace tributary
