#include "trainer/loop/training_state.h"

#include <nlohmann/json.hpp>

#include "core/base/errors.h"

namespace tributary {

using Json = nlohmann::ordered_json;

std::string TrainingState::ToJson() const {
  return Json{{"epoch", epoch},
              {"step_in_epoch", step_in_epoch},
              {"step", step},
              {"data", data},
              {"callbacks", callbacks},
              {"learning_rate", learning_rate},
              {"replicas", replicas}}
      .dump();
}

TrainingState TrainingState::FromJson(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    TrainingState state;
    json.at("epoch").get_to(state.epoch);
    json.at("step_in_epoch").get_to(state.step_in_epoch);
    json.at("step").get_to(state.step);
    json.at("data").get_to(state.data);
    json.at("callbacks").get_to(state.callbacks);
    state.learning_rate = json.value("learning_rate", "");
    state.replicas = json.value("replicas", int64_t{0});
    if (state.epoch < 0 || state.step_in_epoch < 0 || state.step < 0) {
      throw InvalidArgumentError("[resume] a negative position: {}", text);
    }
    return state;
  } catch (const Json::exception& e) {
    throw InvalidArgumentError("[resume] '{}' is not a training state: {}",
                               text.substr(0, 80), e.what());
  }
}

}  // namespace tributary
